/* A disk in memory, for tests and scratch disks. Owns its bytes unless the caller keeps them. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "blk/blk.h"
#include "vmk_api.h"

static int ram_disk_read(void *ctx, uint64_t off, void *buf, size_t len, char err[160])
{
    (void)err;
    memcpy(buf, (const uint8_t *)ctx + off, len);
    return BLK_OK;
}

static int ram_disk_write(void *ctx, uint64_t off, const void *buf, size_t len, char err[160])
{
    (void)err;
    memcpy((uint8_t *)ctx + off, buf, len);
    return BLK_OK;
}

static int ram_disk_flush(void *ctx, char err[160])
{
    (void)ctx, (void)err;
    return BLK_OK;
}

static int ram_disk_zero(void *ctx, uint64_t off, uint64_t len, char err[160])
{
    (void)err;
    memset((uint8_t *)ctx + off, 0, len);
    return BLK_OK;
}

static void keep(void *ctx)
{
    (void)ctx;
}

/* Pages of our own begin with their length, one page before the disk's first byte. */
#define HEADER 4096u

static void unmap(void *ctx)
{
    uint8_t *start = (uint8_t *)ctx - HEADER;
    uint64_t length;
    memcpy(&length, start, sizeof(length));
    munmap(start, length);
}

static const struct blk_ops borrowed_ops = {
    .name = "ram", .read = ram_disk_read, .write = ram_disk_write, .flush = ram_disk_flush,
    .discard = ram_disk_zero, .write_zeroes = ram_disk_zero, .close = keep,
};
static const struct blk_ops owned_ops = {
    .name = "ram", .read = ram_disk_read, .write = ram_disk_write, .flush = ram_disk_flush,
    .discard = ram_disk_zero, .write_zeroes = ram_disk_zero, .close = unmap,
};

static uint8_t *zeroes(uint64_t size)
{
    uint64_t length = size + HEADER;
    uint8_t *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                          -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    memcpy(start, &length, sizeof(length));
    return start + HEADER;
}

int blk_ramdisk(struct blk_backend *out, void *bytes, uint64_t size, bool readonly)
{
    if (!size || size % 512 || size > 1ull << 40)
        return VMK_EINVAL;
    *out = (struct blk_backend){
        .ops = bytes ? &borrowed_ops : &owned_ops, .ctx = bytes ? bytes : zeroes(size), .size = size,
        .readonly = readonly, .thin = true, .discard_zeroes = true,
    };
    return out->ctx ? VMK_OK : VMK_ENOMEM;
}
