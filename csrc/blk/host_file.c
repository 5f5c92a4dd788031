/* Files of the host: complete reads and writes, holes, durability, and errno as an enum blk_status.
 *
 * Follows pread(2), pwrite(2), fallocate(2), fdatasync(2). Offsets above what off_t holds are refused, not
 * wrapped. Left out: O_DIRECT and io_uring; the host's page cache is ours too, and a flush is fdatasync. */
#define _GNU_SOURCE
#include "blk/host_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <unistd.h>

#define ZERO_CHUNK 65536u

int host_fail(const struct host_file *f, int status, uint64_t off, const char *what, char *err)
{
    snprintf(err, BLK_ERROR, "%s: offset 0x%llx: %.60s", f->label, (unsigned long long)off, what);
    return status;
}

static int fail_errno(const struct host_file *f, uint64_t off, char *err)
{
    /* A limit on the size of files is as full as a disk gets for this process. */
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    char text[64];
    int status = full ? BLK_ENOSPC : errno == EROFS ? BLK_EREADONLY : BLK_EIO;
    return host_fail(f, status, off, strerror_r(errno, text, sizeof(text)), err);
}

int host_open(struct host_file *f, const struct vmk_disk_file *from, char *err)
{
    memcpy(f->label, from->label, sizeof(f->label));
    f->label[sizeof(f->label) - 1] = 0;
    f->readonly = from->readonly;
    f->fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 0);
    if (f->fd >= 0)
        return 0;
    fail_errno(f, 0, err);
    return -1;
}

void host_close(struct host_file *f)
{
    close(f->fd);
    f->fd = -1;
}

uint64_t host_size(const struct host_file *f, char *err)
{
    struct stat st;
    uint64_t bytes = 0;
    if (fstat(f->fd, &st) || (S_ISBLK(st.st_mode) && ioctl(f->fd, BLKGETSIZE64, &bytes))) {
        fail_errno(f, 0, err);
        return 0;
    }
    return S_ISBLK(st.st_mode) ? bytes : (uint64_t)st.st_size;
}

static bool out_of_range(uint64_t off, uint64_t len)
{
    return off > INT64_MAX || len > INT64_MAX - off;
}

int host_read(const struct host_file *f, uint64_t off, void *buf, size_t len, char *err)
{
    uint8_t *to = buf;
    if (out_of_range(off, len))
        return host_fail(f, BLK_EIO, off, "outside any file", err);
    while (len) {
        ssize_t got = pread(f->fd, to, len, (off_t)off);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(f, off, err);
        if (!got) {
            memset(to, 0, len);
            break;
        }
        to += got, off += (uint64_t)got, len -= (size_t)got;
    }
    return BLK_OK;
}

int host_write(const struct host_file *f, uint64_t off, const void *buf, size_t len, char *err)
{
    const uint8_t *from = buf;
    if (f->readonly)
        return host_fail(f, BLK_EREADONLY, off, "opened read-only", err);
    if (out_of_range(off, len))
        return host_fail(f, BLK_EIO, off, "outside any file", err);
    while (len) {
        ssize_t put = pwrite(f->fd, from, len, (off_t)off);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            errno = put ? errno : ENOSPC;
            return fail_errno(f, off, err);
        }
        from += put, off += (uint64_t)put, len -= (size_t)put;
    }
    return BLK_OK;
}

int host_zero(const struct host_file *f, uint64_t off, uint64_t len, char *err)
{
    static const uint8_t zeros[ZERO_CHUNK];
    if (f->readonly)
        return host_fail(f, BLK_EREADONLY, off, "opened read-only", err);
    if (out_of_range(off, len))
        return host_fail(f, BLK_EIO, off, "outside any file", err);
    if (!len || !fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len))
        return BLK_OK;
    while (len) {
        size_t chunk = len < ZERO_CHUNK ? len : ZERO_CHUNK;
        int status = host_write(f, off, zeros, chunk, err);
        if (status)
            return status;
        off += chunk, len -= chunk;
    }
    return BLK_OK;
}

int host_sync(const struct host_file *f, char *err)
{
    while (!f->readonly && fdatasync(f->fd)) {
        if (errno == EINTR)
            continue;
        if (errno == EINVAL || errno == ENOTSUP)
            break; /* a file that has no storage behind it */
        return fail_errno(f, 0, err);
    }
    return BLK_OK;
}
