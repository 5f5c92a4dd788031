/* One disk of several layers end to end: the extents of a VMDK. Also the layer of nothing but zeros, for its
 * ZERO extents.
 *
 * A request that crosses a border is split; each part sees only offsets of its own. */
#include "blk/layer.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 65536u

struct concat {
    struct blk_backend **part;
    uint64_t *start; /* count + 1 of them */
    uint32_t count;
};

/* Applied to one part: `at` in it, `done` bytes already behind. */
typedef int part_call(struct blk_backend *part, uint64_t at, uint64_t len, uint64_t done, void *arg,
                      char *err);

static uint32_t part_at(const struct concat *c, uint64_t off)
{
    uint32_t low = 0, high = c->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (c->start[middle] <= off)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int each_part(struct concat *c, uint64_t off, uint64_t len, part_call *call, void *arg, char *err)
{
    uint64_t done = 0;
    for (uint32_t i = part_at(c, off); done < len && i < c->count; i++) {
        uint64_t left = c->start[i + 1] - (off + done);
        uint64_t now = len - done < left ? len - done : left;
        int status = call(c->part[i], off + done - c->start[i], now, done, arg, err);
        if (status)
            return status;
        done += now;
    }
    return BLK_OK;
}

static int read_part(struct blk_backend *p, uint64_t at, uint64_t len, uint64_t done, void *arg, char *err)
{
    return p->ops->read(p->ctx, at, (uint8_t *)arg + done, len, err);
}

static int write_part(struct blk_backend *p, uint64_t at, uint64_t len, uint64_t done, void *arg, char *err)
{
    return p->ops->write(p->ctx, at, (const uint8_t *)arg + done, len, err);
}

static int zero_part(struct blk_backend *p, uint64_t at, uint64_t len, uint64_t done, void *arg, char *err)
{
    (void)done, (void)arg;
    return layer_write_zeroes(p, at, len, err);
}

static int concat_read(void *ctx, uint64_t off, void *buf, size_t len, char *err)
{
    return each_part(ctx, off, len, read_part, buf, err);
}

static int concat_write(void *ctx, uint64_t off, const void *buf, size_t len, char *err)
{
    return each_part(ctx, off, len, write_part, (void *)buf, err);
}

static int concat_write_zeroes(void *ctx, uint64_t off, uint64_t len, char *err)
{
    return each_part(ctx, off, len, zero_part, NULL, err);
}

static int concat_flush(void *ctx, char *err)
{
    struct concat *c = ctx;
    for (uint32_t i = 0; i < c->count; i++) {
        int status = c->part[i]->ops->flush(c->part[i]->ctx, err);
        if (status)
            return status;
    }
    return BLK_OK;
}

static int concat_map(void *ctx, uint64_t off, uint64_t *len, bool *allocated, char *err)
{
    struct concat *c = ctx;
    uint32_t i = part_at(c, off);
    int status = layer_map(c->part[i], off - c->start[i], len, allocated, err);
    uint64_t left = c->start[i + 1] - off;
    *len = *len < left ? *len : left;
    return status;
}

static void concat_free(struct concat *c)
{
    if (c) {
        free(c->part);
        free(c->start);
        free(c);
    }
}

static void concat_close(void *ctx)
{
    struct concat *c = ctx;
    for (uint32_t i = 0; i < c->count; i++)
        layer_close(c->part[i]);
    concat_free(c);
}

static const struct blk_ops concat_ops = {
    .name = "extents",
    .read = concat_read,
    .write = concat_write,
    .flush = concat_flush,
    .discard = concat_write_zeroes,
    .write_zeroes = concat_write_zeroes,
    .map = concat_map,
    .close = concat_close,
};

static struct concat *concat_new(struct blk_backend **parts, uint32_t count)
{
    struct concat *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->part = calloc(count, sizeof(*c->part));
    c->start = calloc(count + 1ull, sizeof(*c->start));
    if (!c->part || !c->start) {
        concat_free(c);
        return NULL;
    }
    c->count = count;
    for (uint32_t i = 0; i < count; i++) {
        c->part[i] = parts[i];
        c->start[i + 1] = c->start[i] + parts[i]->size;
    }
    return c;
}

struct blk_backend *vmk_disk_concat(struct blk_backend **parts, uint32_t count, char *err)
{
    uint64_t size = 0;
    bool readonly = false;
    for (uint32_t i = 0; i < count && size <= DISK_MAX; i++) {
        size += parts[i]->size;
        readonly |= parts[i]->readonly;
    }
    if (!count || count > PARTS_MAX || size > DISK_MAX)
        return layer_refuse(err, "extents", "a disk has 1 to 65536 extents and 64 TiB at most");
    struct concat *c = concat_new(parts, count);
    if (!c)
        return layer_refuse(err, "extents", "no memory");
    struct blk_backend *layer = layer_new(&concat_ops, c, size, err);
    if (!layer) {
        concat_free(c);
        return NULL;
    }
    layer->readonly = readonly;
    layer->thin = layer->discard_zeroes = true;
    return layer;
}

static int zeros_read(void *ctx, uint64_t off, void *buf, size_t len, char *err)
{
    (void)ctx, (void)off, (void)err;
    memset(buf, 0, len);
    return BLK_OK;
}

static int zeros_write(void *ctx, uint64_t off, const void *buf, size_t len, char *err)
{
    (void)ctx, (void)off, (void)buf, (void)len;
    layer_refuse(err, "zero extent", "it cannot be written");
    return BLK_EREADONLY;
}

static int zeros_flush(void *ctx, char *err)
{
    (void)ctx, (void)err;
    return BLK_OK;
}

static int zeros_map(void *ctx, uint64_t off, uint64_t *len, bool *allocated, char *err)
{
    (void)ctx, (void)off, (void)len, (void)err;
    *allocated = false;
    return BLK_OK;
}

static void zeros_close(void *ctx)
{
    (void)ctx;
}

static const struct blk_ops zeros_ops = {
    .name = "zeros",
    .read = zeros_read,
    .write = zeros_write,
    .flush = zeros_flush,
    .map = zeros_map,
    .close = zeros_close,
};

struct blk_backend *vmk_disk_zero(uint64_t size, char *err)
{
    if (!size || size % SECTOR || size > DISK_MAX)
        return layer_refuse(err, "zero extent", "its size is not 1 sector to 64 TiB of whole sectors");
    struct blk_backend *layer = layer_new(&zeros_ops, NULL, size, err);
    if (layer)
        layer->readonly = true;
    return layer;
}
