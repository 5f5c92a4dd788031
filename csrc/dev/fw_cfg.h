/* Filling the firmware configuration device before the VM starts. */
#ifndef VMK_DEV_FW_CFG_H
#define VMK_DEV_FW_CFG_H

#include <stddef.h>
#include <stdint.h>

struct dev;

#define FW_CFG_ITEMS 256          /* different keys */
#define FW_CFG_ITEM_BYTES (1u << 30) /* of one item */

/* Sets item `key` to a copy of the bytes, replacing what it was. 0, or a negative vmk_error with
 * board->error set. Items are the VM's configuration, not its state: whoever restores a VM sets the same
 * ones again. */
int fw_cfg_add(struct dev *d, uint16_t key, const void *bytes, size_t len);

#endif
