/* Power is lost at any moment: of what was written since the last fdatasync, each sector has reached the disk
 * or has not, as chance will have it. What was flushed through a redo log must still be there, and every
 * sector must show something that was once written to it.
 *
 * pwrite, fallocate and fdatasync of the layers are replaced here and keep account. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blk/blk.h"
#include "check.h"
#include "vmk_disk.h"

#define SECTORS 2048u
#define GRAIN 8u /* sectors */
#define BASE 64u /* sector from which on the extent grows */
#define FILE_MAX (64u << 20)
#define LOG_MAX 65536u

static uint64_t seed;

static uint32_t chance(uint32_t n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % n;
}

/* ---- the disk that may lose power ---- */

struct piece {
    uint64_t off;
    uint32_t len;
    uint8_t bytes[512];
};

static int watched = -1;
static uint8_t *durable; /* contents as of the last fdatasync, then as power left them */
static uint64_t durable_size;
static struct piece *log_of;
static uint32_t logged;

static void note(uint64_t off, const uint8_t *bytes, uint64_t len)
{
    while (len) {
        uint64_t left = 512 - off % 512, now = len < left ? len : left;
        if (logged == LOG_MAX)
            abort();
        struct piece *p = &log_of[logged++];
        p->off = off, p->len = (uint32_t)now;
        memset(p->bytes, 0, sizeof(p->bytes));
        if (bytes)
            memcpy(p->bytes, bytes, now);
        off += now, len -= now, bytes = bytes ? bytes + now : NULL;
    }
}

static void settle(const struct piece *p)
{
    if (p->off + p->len > FILE_MAX)
        abort();
    memcpy(durable + p->off, p->bytes, p->len);
    if (p->off + p->len > durable_size)
        durable_size = p->off + p->len;
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
    if (fd == watched)
        note((uint64_t)off, buf, len);
    return syscall(SYS_pwrite64, fd, buf, len, off);
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
    if (fd == watched)
        note((uint64_t)off, NULL, (uint64_t)len);
    return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

/* A file with what reached the disk; each write since the last fdatasync survives with the same odds. */
static int after_power_loss(uint32_t odds)
{
    for (uint32_t i = 0; i < logged; i++)
        if (chance(100) < odds)
            settle(&log_of[i]);
    logged = 0;
    int fd = memfd_create("extent", 0);
    if (fd < 0 || ftruncate(fd, (off_t)durable_size) ||
        syscall(SYS_pwrite64, fd, durable, durable_size, 0) != (long)durable_size)
        abort();
    return fd;
}

static uint32_t syncs_left; /* power fails at so many fdatasyncs from now, within a flush; 0: never */
static int left = -1;       /* what it left then */

int fdatasync(int fd)
{
    if (fd != watched)
        return 0;
    if (syncs_left && !--syncs_left) {
        watched = -1;
        left = after_power_loss(chance(4) * 33);
        return 0;
    }
    for (uint32_t i = 0; i < logged; i++)
        settle(&log_of[i]);
    logged = 0;
    return 0;
}

/* ---- a redo log on it ---- */

static const struct vmk_disk_sparse layout = {
    .capacity = SECTORS * 512ull, .grain = GRAIN * 512ull, .gd_offset = 512, .rgd_offset = 2 * 512,
    .gt_entries = 64, .zero_grains = 1, .unclean_at = 72,
};

static struct blk_backend *open_redo(int fd)
{
    char err[160];
    struct vmk_disk_file parent_file = {.fd = memfd_create("parent", 0), .label = "parent"};
    struct vmk_disk_file file = {.fd = fd, .label = "redo"};
    uint8_t sector[512];
    for (uint32_t i = 0; i < SECTORS; i++) {
        memset(sector, 0, sizeof(sector));
        memcpy(sector, &i, sizeof(i));
        if (syscall(SYS_pwrite64, parent_file.fd, sector, 512, i * 512ull) != 512)
            abort();
    }
    struct blk_backend *parent = vmk_disk_raw(&parent_file, 0, SECTORS * 512ull, err);
    close(parent_file.fd);
    /* The layer has a duplicate of the descriptor: the lowest that is free. */
    watched = dup(fd);
    close(watched);
    struct blk_backend *redo = vmk_disk_sparse(&file, &layout, parent, err);
    if (!redo) {
        printf("%s\n", err);
        exit(1);
    }
    return redo;
}

/* An empty extent: a header, and directories without tables, so that those come and go too. */
static int fresh(void)
{
    memset(durable, 0, FILE_MAX);
    durable_size = BASE * 512;
    logged = 0;
    return after_power_loss(0);
}

static uint32_t least[SECTORS], newest[SECTORS]; /* numbers of writes: flushed, done */

static void write_some(struct blk_backend *redo, uint32_t *number)
{
    static uint8_t buf[64 * 512];
    char err[160];
    uint32_t count = 1 + chance(chance(3) ? 6 : 40), start = chance(SECTORS - count);
    bool zero = !chance(4);
    memset(buf, 0, sizeof(buf));
    for (uint32_t i = 0; i < count && !zero; i++) {
        uint32_t place = start + i;
        memcpy(buf + i * 512, &place, sizeof(place));
        memcpy(buf + i * 512 + 4, number, sizeof(*number));
    }
    int status = zero ? vmk_disk_write_zeroes(redo, start * 512ull, count * 512ull, err)
                      : vmk_disk_write(redo, start * 512ull, buf, count * 512ull, err);
    CHECK_EQ(status, BLK_OK);
    for (uint32_t i = 0; i < count; i++)
        newest[start + i] = zero ? UINT32_MAX : *number;
    ++*number;
}

/* Zeros (UINT32_MAX) and numbers cannot be ordered in a sector's contents; so a sector that was both since
 * the last flush may show anything of it, and one that was not touched since must show just what was
 * flushed. */
static void check_sector(const uint8_t *sector, uint32_t i)
{
    uint32_t place, number;
    memcpy(&place, sector, 4);
    memcpy(&number, sector + 4, 4);
    if (vmk_disk_is_zero(sector, 512) && i)
        number = UINT32_MAX;
    else
        CHECK_EQ(place, i);
    if (least[i] == newest[i] && i)
        CHECK_EQ(number, least[i]);
}

static void check_disk(struct blk_backend *redo)
{
    static uint8_t all[SECTORS * 512];
    char err[160] = "";
    CHECK_EQ(vmk_disk_read(redo, 0, all, sizeof(all), err), BLK_OK);
    for (uint32_t i = 0; i < SECTORS; i++)
        check_sector(all + i * 512, i);
}

/* Sector 0 is left out of the account: its number cannot be told from zeros. */
static void loses_power(void)
{
    char err[160];
    uint32_t number = 1;
    int fd = fresh();
    memset(least, 0, sizeof(least));
    memset(newest, 0, sizeof(newest));
    for (uint32_t life = 0; life < 12; life++) {
        struct blk_backend *redo = open_redo(fd);
        syncs_left = chance(12), left = -1;
        for (uint32_t steps = chance(30); steps && left < 0; steps--) {
            write_some(redo, &number);
            if (!chance(6)) {
                CHECK_EQ(vmk_disk_flush(redo, err), BLK_OK);
                if (left < 0)
                    memcpy(least, newest, sizeof(least));
            }
        }
        int next = left < 0 ? after_power_loss(chance(4) * 33) : left;
        watched = -1;
        vmk_disk_close(redo, err);
        close(fd);
        fd = next;
        struct blk_backend *again = open_redo(fd);
        watched = -1;
        check_disk(again);
        /* From here on what is there counts. */
        for (uint32_t i = 1; i < SECTORS; i++) {
            uint8_t sector[512];
            vmk_disk_read(again, i * 512ull, sector, 512, err);
            memcpy(&newest[i], sector + 4, 4);
            newest[i] = vmk_disk_is_zero(sector, 512) ? UINT32_MAX : newest[i];
            least[i] = newest[i];
        }
        vmk_disk_close(again, err);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 20;
    durable = malloc(FILE_MAX);
    log_of = malloc(LOG_MAX * sizeof(*log_of));
    for (unsigned i = 0; i < rounds; i++) {
        seed = i;
        RUN(loses_power);
    }
    free(durable);
    free(log_of);
    return check_done();
}
