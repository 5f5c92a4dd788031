/* Saving and restoring a chip through its field table: little-endian, packed, in table order, behind {name,
 * version, length}. */
#ifndef VMK_CORE_STATE_H
#define VMK_CORE_STATE_H

#include "core/dev.h"

/* The table's sizes add up to the struct's size, offsets ascend, no overlap. 0, or -1 with the first bad
 * field in *bad. */
int state_check(const struct dev_class *cls, const char **bad);

/* Bytes one device needs in a saved board. */
size_t state_size(const struct dev_class *cls);

/* Writes state_size() bytes. */
void state_save(const struct dev *d, uint8_t *out);

/* Reads one device's record; 0, or a negative vmk_error when the record is not of this class, version and
 * length. */
int state_load(struct dev *d, const uint8_t *in, size_t len);

#endif
