/* What other chips may ask of the 8254: the HPET's legacy replacement mode takes its interrupt line away. */
#ifndef VMK_DEV_PIT_H
#define VMK_DEV_PIT_H

#include <stdbool.h>

#include "core/dev.h"

#define PIT_HZ 1193182ull

extern const struct dev_class pit_class;

/* Joins channel 0's output to GSI 0, or takes it off; the counters run on either way. */
void pit_connect_irq(struct dev *d, bool connected);

#endif
