/* A file of the host as a layer uses it: whole transfers or an enum blk_status with one line of text. */
#ifndef VMK_BLK_HOST_FILE_H
#define VMK_BLK_HOST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blk/blk.h"
#include "vmk_disk.h"

#define BLK_ERROR 160 /* every `err` has room for this */

struct host_file {
    int fd;
    bool readonly;
    char label[64];
};

/* 0, or -1 with `err` set. */
int host_open(struct host_file *f, const struct vmk_disk_file *from, char *err);
void host_close(struct host_file *f);

/* Bytes, also of a block device; 0 with `err` set if the host cannot say. */
uint64_t host_size(const struct host_file *f, char *err);

/* What lies behind the end of the file reads as zeros. */
int host_read(const struct host_file *f, uint64_t off, void *buf, size_t len, char *err);
int host_write(const struct host_file *f, uint64_t off, const void *buf, size_t len, char *err);
/* Makes a range inside the file zeros, by a hole where the host can. */
int host_zero(const struct host_file *f, uint64_t off, uint64_t len, char *err);
int host_sync(const struct host_file *f, char *err);

/* Puts "label: offset 0x…: what" into err and returns `status`. */
int host_fail(const struct host_file *f, int status, uint64_t off, const char *what, char *err);

#endif
