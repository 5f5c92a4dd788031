/* qcow2 images, versions 2 and 3, read only.
 *
 * Follows QEMU's docs/interop/qcow2.txt: two levels of big-endian tables, clusters that are data, absent,
 * zero or deflated (raw deflate). Python refuses what is not here: encryption, external data files,
 * subclusters, zstd, images marked corrupt. Refcounts do not matter to a reader, and internal snapshots are
 * not shown. */
#include "blk/layer.h"

#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define TABLES_KEPT 32u
#define OFFSET_MASK 0x00fffffffffffe00ull
#define COMPRESSED (1ull << 62)
#define ZERO 1ull
#define L1_MAX (1u << 22)
#define MAP_CLUSTERS (1u << 20) /* looked at by one call: a caller can be interrupted between two */

struct qcow2 {
    struct host_file file;
    struct vmk_disk_qcow2 cfg;
    struct blk_backend *parent;
    uint64_t cluster, file_size;
    uint32_t l2_entries;
    uint64_t *l1;              /* host order */
    pthread_mutex_t lock;      /* all below */
    uint64_t *l2[TABLES_KEPT]; /* as in the file; direct-mapped by L1 index */
    uint64_t l2_of[TABLES_KEPT];
    uint8_t *bounce, *packed;
    uint64_t bounce_entry;     /* the L2 entry that `bounce` holds; 0: none */
};

static int load_l2(struct qcow2 *q, uint64_t index, uint64_t **table, char *err)
{
    uint64_t at = q->l1[index] & OFFSET_MASK;
    uint32_t slot = index % TABLES_KEPT;
    *table = NULL;
    if (!at)
        return BLK_OK;
    if (at % q->cluster || at >= q->file_size)
        return host_fail(&q->file, BLK_EIO, q->cfg.l1_offset + index * 8, "an L2 table out of the file", err);
    if (!q->l2[slot] && !(q->l2[slot] = malloc(q->cluster)))
        return host_fail(&q->file, BLK_EIO, at, "no memory for an L2 table", err);
    if (q->l2_of[slot] != at) {
        q->l2_of[slot] = 0;
        int status = host_read(&q->file, at, q->l2[slot], q->cluster, err);
        if (status)
            return status;
        q->l2_of[slot] = at;
    }
    *table = q->l2[slot];
    return BLK_OK;
}

/* With the lock held: the L2 entry of a cluster, 0 if it has none. */
static int lookup(struct qcow2 *q, uint64_t cluster, uint64_t *entry, char *err)
{
    uint64_t *table;
    int status = load_l2(q, cluster / q->l2_entries, &table, err);
    *entry = table ? be64toh(table[cluster % q->l2_entries]) : 0;
    return status;
}

/* With the lock held: decompresses into q->bounce. */
static int unpack(struct qcow2 *q, uint64_t entry, char *err)
{
    uint32_t size_shift = 62 - (q->cfg.cluster_bits - 8);
    uint64_t at = entry & ((1ull << size_shift) - 1);
    uint64_t sectors = ((entry & ~COMPRESSED & ~(1ull << 63)) >> size_shift) + 1;
    uint64_t size = sectors * SECTOR - at % SECTOR;
    if (q->bounce_entry == entry)
        return BLK_OK;
    q->bounce_entry = 0;
    if (at >= q->file_size || size > 2 * q->cluster)
        return host_fail(&q->file, BLK_EIO, at, "a compressed cluster outside the file", err);
    int status = host_read(&q->file, at, q->packed, size, err);
    if (status)
        return status;
    z_stream z = {.next_in = q->packed, .avail_in = (uInt)size};
    z.next_out = q->bounce, z.avail_out = (uInt)q->cluster;
    if (inflateInit2(&z, -12) != Z_OK)
        return host_fail(&q->file, BLK_EIO, at, "no memory to decompress", err);
    inflate(&z, Z_FINISH);
    inflateEnd(&z);
    /* Like QEMU: a full cluster must come out, what follows it is not looked at. */
    if (z.avail_out)
        return host_fail(&q->file, BLK_EIO, at, "a damaged compressed cluster", err);
    q->bounce_entry = entry;
    return BLK_OK;
}

static int read_packed(struct qcow2 *q, uint64_t entry, uint64_t inside, void *to, size_t len, char *err)
{
    pthread_mutex_lock(&q->lock);
    int status = unpack(q, entry, err);
    if (!status)
        memcpy(to, q->bounce + inside, len);
    pthread_mutex_unlock(&q->lock);
    return status;
}

static int read_cluster(struct qcow2 *q, uint64_t off, void *to, size_t len, char *err)
{
    uint64_t entry, inside = off % q->cluster;
    pthread_mutex_lock(&q->lock);
    int status = lookup(q, off / q->cluster, &entry, err);
    pthread_mutex_unlock(&q->lock);
    if (status)
        return status;
    if (entry & COMPRESSED)
        return read_packed(q, entry, inside, to, len, err);
    if (entry & ZERO) {
        memset(to, 0, len);
        return BLK_OK;
    }
    uint64_t at = entry & OFFSET_MASK;
    if (!at)
        return layer_read(q->parent, off, to, len, err);
    if (at % q->cluster || at >= q->file_size)
        return host_fail(&q->file, BLK_EIO, at, "a cluster outside the file", err);
    return host_read(&q->file, at + inside, to, len, err);
}

static int qcow2_read(void *ctx, uint64_t off, void *buf, size_t len, char *err)
{
    struct qcow2 *q = ctx;
    for (size_t done = 0; done < len;) {
        uint64_t left = q->cluster - (off + done) % q->cluster;
        size_t now = len - done < left ? len - done : (size_t)left;
        int status = read_cluster(q, off + done, (uint8_t *)buf + done, now, err);
        if (status)
            return status;
        done += now;
    }
    return BLK_OK;
}

static int qcow2_write(void *ctx, uint64_t off, const void *buf, size_t len, char *err)
{
    struct qcow2 *q = ctx;
    (void)buf, (void)len;
    return host_fail(&q->file, BLK_EREADONLY, off, "qcow2 images are only read", err);
}

static int qcow2_flush(void *ctx, char *err)
{
    (void)ctx, (void)err;
    return BLK_OK;
}

static int qcow2_map(void *ctx, uint64_t off, uint64_t *len, bool *allocated, char *err)
{
    struct qcow2 *q = ctx;
    uint64_t cluster = off / q->cluster, clusters = (q->cfg.capacity + q->cluster - 1) / q->cluster, entry;
    if (clusters - cluster > MAP_CLUSTERS)
        clusters = cluster + MAP_CLUSTERS;
    pthread_mutex_lock(&q->lock);
    int status = lookup(q, cluster, &entry, err);
    *allocated = entry & (COMPRESSED | ZERO | OFFSET_MASK);
    while (!status && ++cluster < clusters) {
        status = lookup(q, cluster, &entry, err);
        if (!!(entry & (COMPRESSED | ZERO | OFFSET_MASK)) != *allocated)
            break;
    }
    pthread_mutex_unlock(&q->lock);
    uint64_t end = cluster * q->cluster;
    *len = (end < q->cfg.capacity ? end : q->cfg.capacity) - off;
    return status;
}

static void qcow2_free(struct qcow2 *q)
{
    for (uint32_t i = 0; i < TABLES_KEPT; i++)
        free(q->l2[i]);
    free(q->l1);
    free(q->bounce);
    free(q->packed);
    if (q->file.fd >= 0)
        host_close(&q->file);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static void qcow2_close(void *ctx)
{
    struct qcow2 *q = ctx;
    layer_close(q->parent);
    qcow2_free(q);
}

static const struct blk_ops qcow2_ops = {
    .name = "qcow2",
    .read = qcow2_read,
    .write = qcow2_write,
    .flush = qcow2_flush,
    .map = qcow2_map,
    .close = qcow2_close,
};

static int qcow2_init(struct qcow2 *q, const struct vmk_disk_file *file, char *err)
{
    if (host_open(&q->file, file, err))
        return BLK_EIO;
    q->cluster = 1ull << q->cfg.cluster_bits;
    q->l2_entries = (uint32_t)(q->cluster / 8);
    q->file_size = host_size(&q->file, err);
    uint64_t bytes = q->cfg.l1_entries * 8ull;
    if (q->cfg.l1_offset > q->file_size || bytes > q->file_size - q->cfg.l1_offset)
        return host_fail(&q->file, BLK_EIO, q->cfg.l1_offset, "the L1 table is outside the file", err);
    q->l1 = malloc(bytes);
    q->bounce = malloc(q->cluster);
    q->packed = malloc(2 * q->cluster);
    if (!q->l1 || !q->bounce || !q->packed)
        return host_fail(&q->file, BLK_EIO, 0, "no memory", err);
    int status = host_read(&q->file, q->cfg.l1_offset, q->l1, bytes, err);
    for (uint32_t i = 0; i < q->cfg.l1_entries; i++)
        q->l1[i] = be64toh(q->l1[i]);
    return status;
}

static const char *objection(const struct vmk_disk_qcow2 *c)
{
    if (c->cluster_bits < 9 || c->cluster_bits > 21)
        return "its clusters are not 512 bytes to 2 MiB";
    if (!c->capacity || c->capacity % SECTOR || c->capacity > DISK_MAX)
        return "its size is not 1 sector to 64 TiB";
    uint64_t span = 1ull << (2 * c->cluster_bits - 3);
    uint64_t need = (c->capacity + span - 1) / span;
    return c->l1_entries < need || c->l1_entries > L1_MAX ? "its L1 table does not fit its size" : NULL;
}

struct blk_backend *vmk_disk_qcow2(const struct vmk_disk_file *file, const struct vmk_disk_qcow2 *cfg,
                                   struct blk_backend *parent, char *err)
{
    const char *why = objection(cfg);
    struct qcow2 *q = why ? NULL : calloc(1, sizeof(*q));
    if (!q)
        return layer_refuse(err, file->label, why ? why : "no memory");
    q->cfg = *cfg;
    q->file.fd = -1;
    pthread_mutex_init(&q->lock, NULL);
    bool bad = qcow2_init(q, file, err) != BLK_OK;
    struct blk_backend *layer = bad ? NULL : layer_new(&qcow2_ops, q, cfg->capacity, err);
    if (!layer) {
        qcow2_free(q);
        return NULL;
    }
    q->parent = parent;
    layer->readonly = true;
    return layer;
}
