/* What other chips may ask of the clock chip: the HPET's legacy replacement mode takes its interrupt line
 * away. */
#ifndef VMK_DEV_RTC_H
#define VMK_DEV_RTC_H

#include <stdbool.h>

#include "core/dev.h"

extern const struct dev_class rtc_class;

/* Joins the interrupt output to GSI 8, or takes it off; time and flags run on either way. */
void rtc_connect_irq(struct dev *d, bool connected);

#endif
