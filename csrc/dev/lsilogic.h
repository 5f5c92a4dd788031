/* The LSI Logic Fusion-MPT adapter: the places on its bus, for whoever plugs disks in. */
#ifndef VMK_DEV_LSILOGIC_H
#define VMK_DEV_LSILOGIC_H

#include "blk/blk.h"
#include "core/dev.h"
#include "vmk_api.h"

#define LSI_TARGETS 16
#define LSI_LUNS 8
#define LSI_OWN_ID 7 /* the parallel adapter's own */

/* 0, or a negative vmk_error with board->error set. The backend's contents are taken over on success; NULL is
 * a CD drive without a medium. */
int lsilogic_attach(struct dev *d, unsigned target, unsigned lun, const struct blk_backend *backend,
                    const struct vmk_disk_config *config);
int lsilogic_detach(struct dev *d, unsigned target, unsigned lun);
int lsilogic_insert(struct dev *d, unsigned target, unsigned lun, const struct blk_backend *backend);

/* The disk at a place, or NULL. */
struct blk *lsilogic_disk(struct dev *d, unsigned target, unsigned lun);

#endif
