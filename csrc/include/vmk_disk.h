/* Disk images as Python builds them: a stack of layers over open files. cffi reads this file too: structs
 * and prototypes only.
 *
 * Python opens the files, reads headers and descriptors and says with these structs where tables lie; C
 * checks the numbers again, because they are the image's, and moves the data. A layer takes over the layers
 * it is made of when its making succeeds (they are closed with it), and leaves them alone when it fails. A
 * file descriptor is duplicated; the caller's stays its own, and so do locks as long as the layer lives.
 *
 * Calls return an enum blk_status (0: done) or, for makers, NULL; `error` then has one line, in 160 bytes,
 * that begins with the label of the file. */
#ifndef VMK_DISK_H
#define VMK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blk_backend;

/* An open file and what messages call it. */
struct vmk_disk_file {
    int32_t fd;
    uint32_t readonly;
    uint32_t probed;      /* a raw image that was not said to be one: see raw.c */
    char label[64];
};

/* A hosted sparse extent of the VMDK format; offsets and sizes in bytes. */
struct vmk_disk_sparse {
    uint64_t capacity, grain;
    uint64_t gd_offset, rgd_offset;  /* rgd_offset 0: no second set of tables */
    uint32_t gt_entries;             /* per grain table */
    uint32_t zero_grains;            /* a table entry of 1 is a grain of zeros */
    uint32_t compressed;             /* grains are deflated behind a marker; such an extent is only read */
    uint32_t unclean_at;             /* offset of the header byte that says "open for writing"; 0: none */
    uint64_t parent_offset;          /* of this extent in the parent */
    uint32_t parent_shared;          /* the parent belongs to another extent of the same disk */
    uint32_t reserved;
};

/* A qcow2 image, read only. */
struct vmk_disk_qcow2 {
    uint64_t capacity, l1_offset;
    uint32_t l1_entries, cluster_bits;
};

/* A window of `size` bytes at `offset` of a file; what lies behind the file's end reads as zeros. */
struct blk_backend *vmk_disk_raw(const struct vmk_disk_file *file, uint64_t offset, uint64_t size,
                                 char *error);
/* Nothing but zeros; not written. */
struct blk_backend *vmk_disk_zero(uint64_t size, char *error);
/* `parent` (or NULL) is what unallocated grains show; it is only read. */
struct blk_backend *vmk_disk_sparse(const struct vmk_disk_file *file, const struct vmk_disk_sparse *sparse,
                                    struct blk_backend *parent, char *error);
struct blk_backend *vmk_disk_qcow2(const struct vmk_disk_file *file, const struct vmk_disk_qcow2 *qcow2,
                                   struct blk_backend *parent, char *error);
/* One disk of several, in order. */
struct blk_backend *vmk_disk_concat(struct blk_backend **parts, uint32_t count, char *error);
/* Over `lower`: writes the bytes of `stamp` at an offset of a file before the first change to the disk. */
struct blk_backend *vmk_disk_stamp(struct blk_backend *lower, const struct vmk_disk_file *file,
                                   uint64_t offset, const char *stamp, uint32_t length, char *error);
/* Over `lower`: notes in epochs[block] = *epoch each block that changes. The memory is the caller's and
 * outlives the layer. */
struct blk_backend *vmk_disk_track(struct blk_backend *lower, uint32_t *epochs, uint64_t blocks,
                                   uint64_t block_size, const uint32_t *epoch, char *error);

/* Over `lower`: a request that finds the host's disk full is tried again until there is room, or until
 * `ended` is set, by any thread: then it fails. `waiting` is how many do so now. The struct is the caller's
 * and outlives the layer. */
struct vmk_disk_patience {
    uint32_t waiting, ended;
};
struct blk_backend *vmk_disk_patient(struct blk_backend *lower, struct vmk_disk_patience *patience,
                                     char *error);

uint64_t vmk_disk_size(const struct blk_backend *disk);
bool vmk_disk_readonly(const struct blk_backend *disk);
int vmk_disk_read(struct blk_backend *disk, uint64_t offset, void *buffer, uint64_t length, char *error);
int vmk_disk_write(struct blk_backend *disk, uint64_t offset, const void *buffer, uint64_t length,
                   char *error);
int vmk_disk_write_zeroes(struct blk_backend *disk, uint64_t offset, uint64_t length, char *error);
int vmk_disk_discard(struct blk_backend *disk, uint64_t offset, uint64_t length, char *error);
int vmk_disk_flush(struct blk_backend *disk, char *error);
/* How far from `offset` on the top layer itself holds the data, or does not. */
int vmk_disk_map(struct blk_backend *disk, uint64_t offset, uint64_t *length, bool *allocated, char *error);
/* Flushes and closes. The status is that of the flush: what it could not write is lost. */
int vmk_disk_close(struct blk_backend *disk, char *error);
/* Whether a buffer is all zeros. */
bool vmk_disk_is_zero(const void *buffer, uint64_t length);

#endif
