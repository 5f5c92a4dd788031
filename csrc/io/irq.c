/* Interrupt routing: lines to the PIC pair and the IOAPIC, messages to local APICs, what a vCPU asks.
 *
 * Follows the PC/AT wiring with an IOAPIC (MultiProcessor Specification 1.4, "virtual wire" and "symmetric
 * I/O" modes): line n reaches PIC IRn and IOAPIC pin n, except line 0, which reaches pin 2; the PIC pair's
 * output reaches pin 0 and the BSP's LINT0, so that Linux's fall-backs for a broken timer line find what
 * they look for. Owns no guest state: which sources assert a line is told again by the chips after a
 * restore. */
#include "io/irq.h"

#include "core/board.h"
#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/pic.h"

#define PIC_LINES 16
#define CASCADE 2 /* no line: the slave PIC's input, and the pin line 0 uses */

static struct dev *pic_of(struct board *b)
{
    if (!b->irq.pic)
        b->irq.pic = board_find(b, "pic", 0);
    return b->irq.pic;
}

static void drive(struct board *b, unsigned gsi, bool level)
{
    if (gsi < PIC_LINES && pic_of(b))
        pic_line(pic_of(b), gsi, level);
    if (b->irq.ioapic)
        ioapic_line(b->irq.ioapic, gsi == 0 ? CASCADE : gsi, level);
}

void irq_set(struct board *b, unsigned gsi, unsigned source, bool level)
{
    struct irq *irq = &b->irq;
    if (gsi >= IRQ_LINES || gsi == CASCADE || source >= 32)
        return;
    bool was = irq->source[gsi] != 0;
    if (level)
        irq->source[gsi] |= 1u << source;
    else
        irq->source[gsi] &= ~(1u << source);
    if (was != (irq->source[gsi] != 0))
        drive(b, gsi, !was);
}

/* Lowest priority goes to the first match that takes it: all CPUs are alike, and the choice has to be the
 * same in every run. */
void irq_send(struct board *b, const struct apic_msg *msg)
{
    for (unsigned cpu = 0; cpu < BOARD_MAX_CPUS; cpu++) {
        struct dev *lapic = b->irq.lapic[cpu];
        if (!lapic || !lapic_matches(lapic, msg))
            continue;
        if (msg->mode == APIC_LOWEST && !lapic_accepting(lapic))
            continue;
        lapic_accept(lapic, msg);
        if (msg->mode == APIC_LOWEST)
            return;
    }
}

void irq_pic_output(struct board *b, bool level)
{
    if (b->irq.lapic[0])
        lapic_lint(b->irq.lapic[0], 0, level);
    if (b->irq.ioapic)
        ioapic_line(b->irq.ioapic, 0, level);
}

bool irq_pending(struct board *b, unsigned cpu)
{
    struct dev *lapic = cpu < BOARD_MAX_CPUS ? b->irq.lapic[cpu] : NULL;
    return lapic && (lapic_pending(lapic) || lapic_takes_extint(lapic));
}

/* ExtINT first: the 8259 pair is outside the APIC's priorities. */
int irq_ack(struct board *b, unsigned cpu)
{
    if (!irq_pending(b, cpu))
        return -1;
    struct dev *lapic = b->irq.lapic[cpu];
    b->irq.delivered++;
    if (!lapic_takes_extint(lapic) || !pic_of(b))
        return lapic_ack(lapic);
    lapic_extint_taken(lapic);
    return pic_ack(pic_of(b));
}

void irq_eoi(struct board *b, uint8_t vector)
{
    if (b->irq.ioapic)
        ioapic_eoi(b->irq.ioapic, vector);
}
