/* Interrupt routing: lines into the PIC pair and the IOAPIC, messages to local APICs, and what a vCPU asks
 * before each block.
 *
 * Lines are named by GSI (0..23). GSI 0 is the PIT, which reaches the PIC's IR0 and the IOAPIC's pin 2 (the
 * MADT override says so); GSI 2 does not exist as a line. Each line is a wired-or of up to 32 sources, so
 * that PCI functions can share one. */
#ifndef VMK_IO_IRQ_H
#define VMK_IO_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct board;
struct dev;

#define IRQ_LINES 24

enum apic_delivery {
    APIC_FIXED = 0,
    APIC_LOWEST = 1,
    APIC_SMI = 2,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_SIPI = 6,
    APIC_EXTINT = 7
};

struct apic_msg {
    uint32_t dest;       /* APIC id, or logical destination */
    bool logical, level;
    uint8_t mode;        /* enum apic_delivery */
    uint8_t vector;
    bool x2apic;         /* dest is a 32-bit x2APIC destination (0xffffffff = all); else 8 bits, 0xff = all */
};

struct irq {
    uint32_t source[IRQ_LINES]; /* bit per source that asserts */
    struct dev *pic, *ioapic;
    struct dev *lapic[64];
    uint64_t delivered;
};

/* A chip drives its line. `source` 0..31 tells chips on one line apart. */
void irq_set(struct board *b, unsigned gsi, unsigned source, bool level);

/* The one router: IOAPIC entries, IPIs and MSIs all come here. Destinations that nobody has are accepted
 * silently. */
void irq_send(struct board *b, const struct apic_msg *msg);

/* The PIC pair's INT output changed. Reaches the BSP's LINT0 (or the BSP directly while its APIC is
 * disabled). */
void irq_pic_output(struct board *b, bool level);

/* For a vCPU: is an external interrupt ready for it (priority considered, IF not)? */
bool irq_pending(struct board *b, unsigned cpu);

/* For a vCPU with its window open: acknowledge and return the vector, or -1 if the request is gone. */
int irq_ack(struct board *b, unsigned cpu);

/* A LAPIC broadcast EOI for a level-triggered vector. */
void irq_eoi(struct board *b, uint8_t vector);

#endif
