/* Reset and the A20 gate, which several chips drive: port 0x92 and 0xCF9 here, the keyboard controller,
 * and the PCI host, which claims 0xCF8 to 0xCFF whole and forwards byte accesses to 0xCF9. All functions
 * work on the board's one sysctl chip. */
#ifndef VMK_DEV_SYSCTL_H
#define VMK_DEV_SYSCTL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/dev.h"

struct board;

extern const struct dev_class sysctl_class;

/* The reset control register 0xCF9. */
uint8_t sysctl_reset_read(struct board *b);
void sysctl_reset_write(struct board *b, uint8_t value);

/* The A20 gate as last set by anyone. */
bool sysctl_a20(struct board *b);
void sysctl_set_a20(struct board *b, bool on);

#endif
