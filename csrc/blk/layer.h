/* What layers of a disk image share: making one, and reading a parent that may be shorter than its child. */
#ifndef VMK_BLK_LAYER_H
#define VMK_BLK_LAYER_H

#include "blk/blk.h"
#include "blk/host_file.h"

#define SECTOR 512ull
#define DISK_MAX (1ull << 46) /* 64 TiB: bounds every table below */

/* A backend on the heap with these operations; NULL with `err` set if there is no memory. */
struct blk_backend *layer_new(const struct blk_ops *ops, void *ctx, uint64_t size, char *err);
/* Closes a layer that is made of others, without the flush that vmk_disk_close makes first. */
void layer_close(struct blk_backend *layer);
/* A maker's way to fail: puts "label: what" into err and returns NULL. */
void *layer_refuse(char *err, const char *label, const char *what);

/* Like ops->read, but what lies behind the end of `layer`, or of a NULL layer, is zeros. */
int layer_read(const struct blk_backend *layer, uint64_t off, void *buf, size_t len, char *err);
/* Like ops->map; without one, and behind the end, nothing is allocated. */
int layer_map(const struct blk_backend *layer, uint64_t off, uint64_t *len, bool *allocated, char *err);
int layer_write_zeroes(const struct blk_backend *layer, uint64_t off, uint64_t len, char *err);

#endif
