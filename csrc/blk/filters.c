/* Layers that watch the changes to the disk below them: one stamps a file before the first (the content ID
 * of a VMDK, by which its children know that it is not what they were made on), one notes which blocks
 * change (changed-block tracking).
 *
 * Both mark before they pass a change on: what failed halfway counts as changed. */
#include "blk/layer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define STAMP_MAX 64u

struct filter {
    struct blk_backend *lower;
    /* Stamping. */
    pthread_mutex_t lock;
    struct host_file file;
    uint64_t at;
    uint32_t length;
    bool stamped;
    char stamp[STAMP_MAX];
    /* Tracking. */
    uint32_t *epochs;
    const uint32_t *epoch;
    uint64_t block_size;
};

static int note(struct filter *f, uint64_t off, uint64_t len, char *err)
{
    if (f->epochs) {
        uint32_t now = __atomic_load_n(f->epoch, __ATOMIC_RELAXED);
        for (uint64_t i = off / f->block_size; len && i <= (off + len - 1) / f->block_size; i++)
            __atomic_store_n(&f->epochs[i], now, __ATOMIC_RELAXED);
        return BLK_OK;
    }
    pthread_mutex_lock(&f->lock);
    int status = f->stamped ? BLK_OK : host_write(&f->file, f->at, f->stamp, f->length, err);
    f->stamped = !status;
    pthread_mutex_unlock(&f->lock);
    return status;
}

static int filter_read(void *ctx, uint64_t off, void *buf, size_t len, char *err)
{
    struct filter *f = ctx;
    return f->lower->ops->read(f->lower->ctx, off, buf, len, err);
}

static int filter_write(void *ctx, uint64_t off, const void *buf, size_t len, char *err)
{
    struct filter *f = ctx;
    int status = note(f, off, len, err);
    return status ? status : f->lower->ops->write(f->lower->ctx, off, buf, len, err);
}

static int filter_write_zeroes(void *ctx, uint64_t off, uint64_t len, char *err)
{
    struct filter *f = ctx;
    int status = note(f, off, len, err);
    return status ? status : layer_write_zeroes(f->lower, off, len, err);
}

static int filter_discard(void *ctx, uint64_t off, uint64_t len, char *err)
{
    struct filter *f = ctx;
    if (!f->lower->ops->discard)
        return BLK_OK;
    int status = note(f, off, len, err);
    return status ? status : f->lower->ops->discard(f->lower->ctx, off, len, err);
}

static int filter_flush(void *ctx, char *err)
{
    struct filter *f = ctx;
    int status = f->lower->ops->flush(f->lower->ctx, err);
    return status || !f->stamped ? status : host_sync(&f->file, err);
}

static int filter_map(void *ctx, uint64_t off, uint64_t *len, bool *allocated, char *err)
{
    struct filter *f = ctx;
    return layer_map(f->lower, off, len, allocated, err);
}

static void filter_free(struct filter *f)
{
    if (f->file.fd >= 0)
        host_close(&f->file);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static void filter_close(void *ctx)
{
    struct filter *f = ctx;
    layer_close(f->lower);
    filter_free(f);
}

static const struct blk_ops filter_ops = {
    .name = "filter",
    .read = filter_read,
    .write = filter_write,
    .flush = filter_flush,
    .discard = filter_discard,
    .write_zeroes = filter_write_zeroes,
    .map = filter_map,
    .close = filter_close,
};

static struct blk_backend *filter_layer(struct filter *f, char *err)
{
    struct blk_backend *layer = layer_new(&filter_ops, f, f->lower->size, err);
    if (!layer) {
        filter_free(f);
        return NULL;
    }
    layer->readonly = f->lower->readonly;
    layer->serial = f->lower->serial;
    layer->thin = f->lower->thin;
    layer->discard_zeroes = f->lower->discard_zeroes;
    return layer;
}

static struct filter *filter_new(struct blk_backend *lower)
{
    struct filter *f = calloc(1, sizeof(*f));
    if (f) {
        f->lower = lower;
        f->file.fd = -1;
        pthread_mutex_init(&f->lock, NULL);
    }
    return f;
}

struct blk_backend *vmk_disk_stamp(struct blk_backend *lower, const struct vmk_disk_file *file,
                                   uint64_t offset, const char *stamp, uint32_t length, char *err)
{
    struct filter *f = length <= STAMP_MAX ? filter_new(lower) : NULL;
    if (!f)
        return layer_refuse(err, file->label, length <= STAMP_MAX ? "no memory" : "a stamp of over 64 bytes");
    if (host_open(&f->file, file, err)) {
        filter_free(f);
        return NULL;
    }
    f->at = offset;
    f->length = length;
    memcpy(f->stamp, stamp, length);
    return filter_layer(f, err);
}

struct blk_backend *vmk_disk_track(struct blk_backend *lower, uint32_t *epochs, uint64_t blocks,
                                   uint64_t block_size, const uint32_t *epoch, char *err)
{
    bool fits = block_size >= SECTOR && blocks <= DISK_MAX / SECTOR && block_size <= DISK_MAX &&
                blocks >= (lower->size + block_size - 1) / block_size;
    struct filter *f = fits ? filter_new(lower) : NULL;
    if (!f)
        return layer_refuse(err, "change tracking", fits ? "no memory" : "its table is too small");
    f->epochs = epochs;
    f->epoch = epoch;
    f->block_size = block_size;
    return filter_layer(f, err);
}
