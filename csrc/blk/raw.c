/* Raw images, block devices and the flat extents of VMDK: a window of a file, byte for byte.
 *
 * Holes are unallocated and read as zeros. Zeroing punches holes where the host can; a range behind the
 * file's end needs nothing. *
 * An image that nobody called raw is raw because it looks like nothing else. Its guest must not make it look
 * like a VMDK or qcow2 image: opened once more, that could name any file of the host. So such a first sector
 * is refused. */
#define _GNU_SOURCE
#include "blk/layer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct raw {
    struct host_file file;
    uint64_t start, size;
    bool probed;
};

static int raw_read(void *ctx, uint64_t off, void *buf, size_t len, char *err)
{
    struct raw *r = ctx;
    return host_read(&r->file, r->start + off, buf, len, err);
}

static bool is_other_format(const void *sector)
{
    static const char *const marks[] = {"QFI\xfb", "KDMV", "COWD", "# Disk DescriptorFile"};
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
        if (!strncasecmp(sector, marks[i], strlen(marks[i])))
            return true;
    return false;
}

static int raw_write(void *ctx, uint64_t off, const void *buf, size_t len, char *err)
{
    struct raw *r = ctx;
    if (r->probed && !off && len && is_other_format(buf))
        return host_fail(&r->file, BLK_EREADONLY, 0, "would become another format; say format=raw", err);
    return host_write(&r->file, r->start + off, buf, len, err);
}

static int raw_flush(void *ctx, char *err)
{
    struct raw *r = ctx;
    return host_sync(&r->file, err);
}

static int raw_write_zeroes(void *ctx, uint64_t off, uint64_t len, char *err)
{
    struct raw *r = ctx;
    return host_zero(&r->file, r->start + off, len, err);
}

static int raw_map(void *ctx, uint64_t off, uint64_t *len, bool *allocated, char *err)
{
    struct raw *r = ctx;
    off_t at = (off_t)(r->start + off);
    off_t data = lseek(r->file.fd, at, SEEK_DATA);
    (void)err;
    *len = r->size - off;
    if (data < 0) {
        *allocated = errno != ENXIO; /* ENXIO: only holes from here on. Others: the host cannot say. */
        return BLK_OK;
    }
    /* Rounded so that a sector with any data counts as data. */
    uint64_t hole = (uint64_t)(data - at) / SECTOR * SECTOR;
    *allocated = !hole;
    if (hole) {
        *len = hole < *len ? hole : *len;
        return BLK_OK;
    }
    off_t end = lseek(r->file.fd, data, SEEK_HOLE);
    uint64_t run = end < 0 ? *len : ((uint64_t)(end - at) + SECTOR - 1) / SECTOR * SECTOR;
    *len = run < *len ? run : *len;
    return BLK_OK;
}

static void raw_close(void *ctx)
{
    struct raw *r = ctx;
    host_close(&r->file);
    free(r);
}

static const struct blk_ops raw_ops = {
    .name = "raw",
    .read = raw_read,
    .write = raw_write,
    .flush = raw_flush,
    .discard = raw_write_zeroes,
    .write_zeroes = raw_write_zeroes,
    .map = raw_map,
    .close = raw_close,
};

struct blk_backend *vmk_disk_raw(const struct vmk_disk_file *file, uint64_t offset, uint64_t size, char *err)
{
    if (size % SECTOR || !size || size > DISK_MAX || offset > INT64_MAX - DISK_MAX)
        return layer_refuse(err, file->label, "its size is not 1 sector to 64 TiB of whole sectors");
    struct raw *r = calloc(1, sizeof(*r));
    if (!r)
        return layer_refuse(err, file->label, "no memory");
    if (host_open(&r->file, file, err)) {
        free(r);
        return NULL;
    }
    struct blk_backend *layer = layer_new(&raw_ops, r, size, err);
    if (!layer) {
        raw_close(r);
        return NULL;
    }
    r->start = offset, r->size = size, r->probed = file->probed;
    layer->readonly = r->file.readonly;
    layer->thin = layer->discard_zeroes = true;
    return layer;
}
