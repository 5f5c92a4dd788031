/* The calls of vmk_disk.h that every layer answers, and what layers share among themselves. Ranges are
 * checked here for Python's sake; the queue of a virtual disk checks the guest's. */
#include "blk/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZERO_CHUNK 65536u

struct blk_backend *layer_new(const struct blk_ops *ops, void *ctx, uint64_t size, char *err)
{
    struct blk_backend *layer = calloc(1, sizeof(*layer));
    if (!layer)
        return layer_refuse(err, ops->name, "no memory");
    *layer = (struct blk_backend){.ops = ops, .ctx = ctx, .size = size};
    return layer;
}

void *layer_refuse(char *err, const char *label, const char *what)
{
    snprintf(err, BLK_ERROR, "%.60s: %.90s", label, what);
    return NULL;
}

void layer_close(struct blk_backend *layer)
{
    if (!layer)
        return;
    layer->ops->close(layer->ctx);
    free(layer);
}

int layer_read(const struct blk_backend *layer, uint64_t off, void *buf, size_t len, char *err)
{
    uint64_t there = layer && off < layer->size ? layer->size - off : 0;
    size_t real = there < len ? (size_t)there : len;
    memset((uint8_t *)buf + real, 0, len - real);
    return real ? layer->ops->read(layer->ctx, off, buf, real, err) : BLK_OK;
}

int layer_map(const struct blk_backend *layer, uint64_t off, uint64_t *len, bool *allocated, char *err)
{
    *allocated = false;
    *len = UINT64_MAX - off;
    if (!layer || off >= layer->size)
        return BLK_OK;
    *len = layer->size - off;
    *allocated = true;
    return layer->ops->map ? layer->ops->map(layer->ctx, off, len, allocated, err) : BLK_OK;
}

int layer_write_zeroes(const struct blk_backend *layer, uint64_t off, uint64_t len, char *err)
{
    static const uint8_t zeros[ZERO_CHUNK];
    if (layer->ops->write_zeroes)
        return layer->ops->write_zeroes(layer->ctx, off, len, err);
    while (len) {
        size_t chunk = len < ZERO_CHUNK ? len : ZERO_CHUNK;
        int status = layer->ops->write(layer->ctx, off, zeros, chunk, err);
        if (status)
            return status;
        off += chunk, len -= chunk;
    }
    return BLK_OK;
}

static int check_range(const struct blk_backend *disk, uint64_t off, uint64_t len, char *err)
{
    if (off % SECTOR || len % SECTOR || off > disk->size || len > disk->size - off) {
        snprintf(err, BLK_ERROR, "%llu bytes at 0x%llx are not whole sectors of this disk",
                 (unsigned long long)len, (unsigned long long)off);
        return BLK_EIO;
    }
    return BLK_OK;
}

static int check_write(const struct blk_backend *disk, uint64_t off, uint64_t len, char *err)
{
    if (disk->readonly) {
        snprintf(err, BLK_ERROR, "the disk is opened read-only");
        return BLK_EREADONLY;
    }
    return check_range(disk, off, len, err);
}

uint64_t vmk_disk_size(const struct blk_backend *disk)
{
    return disk->size;
}

bool vmk_disk_readonly(const struct blk_backend *disk)
{
    return disk->readonly;
}

int vmk_disk_read(struct blk_backend *disk, uint64_t off, void *buf, uint64_t len, char *err)
{
    int status = check_range(disk, off, len, err);
    return status ? status : disk->ops->read(disk->ctx, off, buf, len, err);
}

int vmk_disk_write(struct blk_backend *disk, uint64_t off, const void *buf, uint64_t len, char *err)
{
    int status = check_write(disk, off, len, err);
    return status ? status : disk->ops->write(disk->ctx, off, buf, len, err);
}

int vmk_disk_write_zeroes(struct blk_backend *disk, uint64_t off, uint64_t len, char *err)
{
    int status = check_write(disk, off, len, err);
    return status ? status : layer_write_zeroes(disk, off, len, err);
}

int vmk_disk_discard(struct blk_backend *disk, uint64_t off, uint64_t len, char *err)
{
    int status = check_write(disk, off, len, err);
    return status || !disk->ops->discard ? status : disk->ops->discard(disk->ctx, off, len, err);
}

int vmk_disk_flush(struct blk_backend *disk, char *err)
{
    return disk->readonly ? BLK_OK : disk->ops->flush(disk->ctx, err);
}

int vmk_disk_map(struct blk_backend *disk, uint64_t off, uint64_t *len, bool *allocated, char *err)
{
    int status = check_range(disk, off, 0, err);
    return status ? status : layer_map(disk, off, len, allocated, err);
}

int vmk_disk_close(struct blk_backend *disk, char *err)
{
    int status = vmk_disk_flush(disk, err);
    layer_close(disk);
    return status;
}

bool vmk_disk_is_zero(const void *buffer, uint64_t length)
{
    const uint8_t *bytes = buffer;
    return !length || (!bytes[0] && !memcmp(bytes, bytes + 1, length - 1));
}
