/* Hosted sparse extents of VMDK, which are also our redo logs: grains allocated when they are first written,
 * copied from the parent where a write covers only part of one.
 *
 * Follows VMware's "Virtual Disk Format 5.0". New grains go to the end of the file. Zeroing punches a hole
 * into an allocated grain and leaves it allocated; an absent grain over a parent becomes a zero grain where
 * the extent's header allows those. Left out: writing compressed grains (made by a converter, in order), and
 * giving a grain back to the file. */
#include "blk/sparse.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRAIN_MIN 4096ull
#define GRAIN_MAX (1ull << 20)
#define TABLES_MAX (1u << 23)
#define GT_ENTRIES_MAX 512u
#define MAP_GRAINS (1u << 20) /* looked at by one call: a caller can be interrupted between two */

/* A piece of a request within one grain. */
struct piece {
    uint64_t grain, inside; /* number, offset in it */
    size_t len;
};

static struct piece piece_at(const struct sparse *s, uint64_t off, uint64_t len)
{
    struct piece p = {.grain = off / s->cfg.grain, .inside = off % s->cfg.grain};
    uint64_t left = s->cfg.grain - p.inside;
    p.len = (size_t)(len < left ? len : left);
    return p;
}

static uint64_t parent_at(const struct sparse *s, uint64_t grain)
{
    return s->cfg.parent_offset + grain * s->cfg.grain;
}

/* Bytes of a grain that lie inside the disk. */
static size_t grain_length(const struct sparse *s, uint64_t grain)
{
    uint64_t left = s->cfg.capacity - grain * s->cfg.grain;
    return (size_t)(left < s->cfg.grain ? left : s->cfg.grain);
}

static int locked_get(struct sparse *s, uint64_t grain, uint32_t *entry, char *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sparse_get(s, grain, entry, err);
    pthread_mutex_unlock(&s->lock);
    return status;
}

static int read_packed(struct sparse *s, struct piece p, uint32_t entry, void *to, char *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sparse_unpack(s, p.grain, entry, err);
    if (!status)
        memcpy(to, s->bounce + p.inside, p.len);
    pthread_mutex_unlock(&s->lock);
    return status;
}

static int read_piece(struct sparse *s, struct piece p, void *to, char *err)
{
    uint32_t entry;
    int status = locked_get(s, p.grain, &entry, err);
    if (status)
        return status;
    if (entry == GTE_ABSENT)
        return layer_read(s->parent, parent_at(s, p.grain) + p.inside, to, p.len, err);
    if (entry == GTE_ZERO) {
        memset(to, 0, p.len);
        return BLK_OK;
    }
    if (s->cfg.compressed)
        return read_packed(s, p, entry, to, err);
    return host_read(&s->file, entry * SECTOR + p.inside, to, p.len, err);
}

static int sparse_read(void *ctx, uint64_t off, void *buf, size_t len, char *err)
{
    struct sparse *s = ctx;
    for (size_t done = 0; done < len;) {
        struct piece p = piece_at(s, off + done, len - done);
        int status = read_piece(s, p, (uint8_t *)buf + done, err);
        if (status)
            return status;
        done += p.len;
    }
    return BLK_OK;
}

/* With the lock held: the whole grain as it is to be, in s->bounce; `from` NULL stands for zeros. */
static int compose(struct sparse *s, struct piece p, uint32_t entry, const void *from, char *err)
{
    size_t all = grain_length(s, p.grain);
    s->bounce_grain = UINT64_MAX;
    memset(s->bounce, 0, s->cfg.grain);
    int status = BLK_OK;
    if (entry == GTE_ABSENT && p.len < all)
        status = layer_read(s->parent, parent_at(s, p.grain), s->bounce, all, err);
    if (from)
        memcpy(s->bounce + p.inside, from, p.len);
    else
        memset(s->bounce + p.inside, 0, p.len);
    return status;
}

/* With the lock held. A failure leaves the grain as it was; what it had begun in the file is written over. */
static int allocate(struct sparse *s, struct piece p, uint32_t entry, const void *from, char *err)
{
    int status = sparse_mark(s, err);
    if (!status)
        status = compose(s, p, entry, from, err);
    if (status)
        return status;
    uint64_t at = (s->next + s->cfg.grain - 1) / s->cfg.grain * s->cfg.grain;
    if ((at + s->cfg.grain) / SECTOR > UINT32_MAX)
        return host_fail(&s->file, BLK_ENOSPC, at, "the extent is full: 2 TiB", err);
    status = host_write(&s->file, at, s->bounce, s->cfg.grain, err);
    if (status)
        return status;
    s->next = at + s->cfg.grain;
    return sparse_set(s, p.grain, (uint32_t)(at / SECTOR), err);
}

/* Allocates, unless the grain is there already: then its entry is in *entry. */
static int allocate_or_find(struct sparse *s, struct piece p, uint32_t *entry, const void *from, char *err)
{
    pthread_mutex_lock(&s->lock);
    int status = sparse_get(s, p.grain, entry, err);
    if (!status && *entry <= GTE_ZERO)
        status = allocate(s, p, *entry, from, err);
    else if (!status)
        status = sparse_mark(s, err);
    pthread_mutex_unlock(&s->lock);
    return status;
}

static int sparse_write(void *ctx, uint64_t off, const void *buf, size_t len, char *err)
{
    struct sparse *s = ctx;
    for (size_t done = 0; done < len;) {
        struct piece p = piece_at(s, off + done, len - done);
        const uint8_t *from = (const uint8_t *)buf + done;
        uint32_t entry;
        int status = allocate_or_find(s, p, &entry, from, err);
        if (!status && entry > GTE_ZERO)
            status = host_write(&s->file, entry * SECTOR + p.inside, from, p.len, err);
        if (status)
            return status;
        done += p.len;
    }
    return BLK_OK;
}

/* With the lock held. A whole grain becomes a zero grain if the header knows those; else the grain is
 * allocated, unless the parent shows zeros there already. */
static int zero_absent(struct sparse *s, struct piece p, char *err)
{
    bool whole = p.len == grain_length(s, p.grain);
    uint64_t at = parent_at(s, p.grain) + p.inside;
    int status = BLK_OK;
    if (!s->parent)
        return status;
    if (!whole || !s->cfg.zero_grains) {
        s->bounce_grain = UINT64_MAX;
        status = layer_read(s->parent, at, s->bounce, p.len, err);
        if (status || vmk_disk_is_zero(s->bounce, p.len))
            return status;
        return allocate(s, p, GTE_ABSENT, NULL, err);
    }
    status = sparse_mark(s, err);
    return status ? status : sparse_set(s, p.grain, GTE_ZERO, err);
}

static int zero_piece(struct sparse *s, struct piece p, char *err)
{
    uint32_t entry;
    pthread_mutex_lock(&s->lock);
    int status = sparse_get(s, p.grain, &entry, err);
    if (!status && entry == GTE_ABSENT)
        status = zero_absent(s, p, err);
    else if (!status && entry != GTE_ZERO)
        status = sparse_mark(s, err);
    pthread_mutex_unlock(&s->lock);
    if (status || entry <= GTE_ZERO)
        return status;
    return host_zero(&s->file, entry * SECTOR + p.inside, p.len, err);
}

static int sparse_write_zeroes(void *ctx, uint64_t off, uint64_t len, char *err)
{
    struct sparse *s = ctx;
    while (len) {
        struct piece p = piece_at(s, off, len);
        int status = zero_piece(s, p, err);
        if (status)
            return status;
        off += p.len, len -= p.len;
    }
    return BLK_OK;
}

static int sparse_flush(void *ctx, char *err)
{
    struct sparse *s = ctx;
    pthread_mutex_lock(&s->lock);
    int status = sparse_commit(s, err);
    pthread_mutex_unlock(&s->lock);
    return status;
}

static int sparse_map(void *ctx, uint64_t off, uint64_t *len, bool *allocated, char *err)
{
    struct sparse *s = ctx;
    uint64_t grain = off / s->cfg.grain, grains = sparse_grains(s);
    uint32_t entry;
    if (grains - grain > MAP_GRAINS)
        grains = grain + MAP_GRAINS;
    pthread_mutex_lock(&s->lock);
    int status = sparse_get(s, grain, &entry, err);
    *allocated = entry != GTE_ABSENT;
    while (!status && ++grain < grains) {
        status = sparse_get(s, grain, &entry, err);
        if ((entry != GTE_ABSENT) != *allocated)
            break;
    }
    pthread_mutex_unlock(&s->lock);
    uint64_t end = grain * s->cfg.grain;
    *len = (end < s->cfg.capacity ? end : s->cfg.capacity) - off;
    return status;
}

static void sparse_free(struct sparse *s)
{
    sparse_tables_free(s);
    pthread_mutex_destroy(&s->lock);
    if (s->file.fd >= 0)
        close(s->file.fd);
    free(s->bounce);
    free(s->packed);
    free(s);
}

/* What could not be flushed stays marked unclean in the header. */
static void sparse_close(void *ctx)
{
    struct sparse *s = ctx;
    char err[BLK_ERROR];
    static const uint8_t clean = 0;
    if (!s->file.readonly && !sparse_commit(s, err) && s->marked)
        host_write(&s->file, s->cfg.unclean_at, &clean, 1, err);
    if (!s->cfg.parent_shared)
        layer_close(s->parent);
    sparse_free(s);
}

static const struct blk_ops sparse_ops = {
    .name = "vmdk",
    .read = sparse_read,
    .write = sparse_write,
    .flush = sparse_flush,
    .discard = sparse_write_zeroes,
    .write_zeroes = sparse_write_zeroes,
    .map = sparse_map,
    .close = sparse_close,
};

static bool is_power(uint64_t n)
{
    return n && !(n & (n - 1));
}

static const char *objection(const struct vmk_disk_sparse *c)
{
    if (!is_power(c->grain) || c->grain < GRAIN_MIN || c->grain > GRAIN_MAX)
        return "its grain is not 4 KiB to 1 MiB";
    if (!c->gt_entries || c->gt_entries > GT_ENTRIES_MAX)
        return "its grain tables do not have 1 to 512 entries";
    if (!c->capacity || c->capacity % SECTOR || c->capacity > DISK_MAX)
        return "its size is not 1 sector to 64 TiB";
    if (!c->gd_offset || c->gd_offset % SECTOR || c->rgd_offset % SECTOR)
        return "its grain directory lies in the header";
    uint64_t span = c->grain * c->gt_entries;
    return (c->capacity + span - 1) / span > TABLES_MAX ? "its grain directory is too long" : NULL;
}

static int sparse_init(struct sparse *s, const struct vmk_disk_file *file, char *err)
{
    if (host_open(&s->file, file, err))
        return BLK_EIO;
    s->file.readonly |= !!s->cfg.compressed;
    s->table_span = s->cfg.grain * s->cfg.gt_entries;
    s->tables = (uint32_t)((s->cfg.capacity + s->table_span - 1) / s->table_span);
    s->bounce_grain = UINT64_MAX;
    s->bounce = malloc(s->cfg.grain);
    s->packed = s->cfg.compressed ? malloc(2 * s->cfg.grain) : NULL;
    if (!s->bounce || (s->cfg.compressed && !s->packed))
        return host_fail(&s->file, BLK_EIO, 0, "no memory", err);
    uint64_t size = host_size(&s->file, err);
    if (!size)
        return host_fail(&s->file, BLK_EIO, 0, "the file is empty", err);
    s->next = (size + SECTOR - 1) / SECTOR * SECTOR;
    return sparse_tables_open(s, err);
}

struct blk_backend *vmk_disk_sparse(const struct vmk_disk_file *file, const struct vmk_disk_sparse *cfg,
                                    struct blk_backend *parent, char *err)
{
    const char *why = objection(cfg);
    struct sparse *s = why ? NULL : calloc(1, sizeof(*s));
    if (!s)
        return layer_refuse(err, file->label, why ? why : "no memory");
    s->cfg = *cfg;
    s->file.fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    struct blk_backend *layer =
        sparse_init(s, file, err) ? NULL : layer_new(&sparse_ops, s, cfg->capacity, err);
    if (!layer) {
        sparse_free(s);
        return NULL;
    }
    s->parent = parent;
    layer->readonly = s->file.readonly;
    layer->thin = layer->discard_zeroes = true;
    return layer;
}
