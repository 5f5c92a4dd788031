/* What io/irq.c asks of the I/O APIC. */
#ifndef VMK_DEV_IOAPIC_H
#define VMK_DEV_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

struct dev;

/* An input pin changes level; "true" is asserted, whatever polarity the guest programmed. */
void ioapic_line(struct dev *d, unsigned pin, bool level);

/* A local APIC broadcast the end of a level-triggered interrupt, or the guest wrote the EOI register. */
void ioapic_eoi(struct dev *d, uint8_t vector);

#endif
