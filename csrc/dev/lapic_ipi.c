/* Interrupt messages at a local APIC: sending (ICR, self IPI), knowing its address, taking them in.
 *
 * Follows Intel SDM volume 3, "Issuing Interprocessor Interrupts" and "x2APIC Mode". The bus between the
 * APICs is irq_send(). Sending is immediate, so the delivery status always reads idle. Lowest priority is
 * decided by irq_send: the first match that accepts. Leaves out: SMI (there is no SMM), arbitration, and
 * the level-triggered INIT de-assert, which modern CPUs ignore. */
#include "dev/lapic.h"
#include "dev/lapic_regs.h"

#include "core/board.h"

static uint32_t x2apic_logical_id(uint32_t id)
{
    return id >> 4 << 16 | 1u << (id & 15);
}

/* 32-bit destinations: cluster 31:16, a bit per member 15:0. A cluster nobody has matches nobody. */
static bool matches_x2apic(struct dev *d, const struct apic_msg *msg)
{
    uint32_t self = x2apic_logical_id(lapic_id(d));
    if (msg->logical)
        return msg->dest >> 16 == self >> 16 && (msg->dest & self & 0xffff);
    return msg->dest == lapic_id(d);
}

/* 8-bit destinations: flat is a bit per CPU, cluster is 4 + 4 bits of which the high ones must be equal. */
static bool matches_xapic(struct dev *d, uint32_t dest, bool logical)
{
    const struct lapic *l = lapic_of(d);
    uint32_t self = l->ldr >> 24;
    if (!logical)
        return dest == lapic_id(d);
    if (l->dfr >> 28 == 0xf)
        return dest & self;
    return dest >> 4 == self >> 4 && (dest & self & 0xf);
}

bool lapic_matches(struct dev *d, const struct apic_msg *msg)
{
    uint32_t all = msg->x2apic ? 0xffffffffu : 0xffu;
    uint32_t dest = msg->x2apic ? msg->dest : msg->dest & 0xff;
    if (!lapic_enabled(d))
        return false;
    if (dest == all)
        return true;
    if (lapic_x2apic(d))
        return matches_x2apic(d, msg);
    return dest <= 0xff && matches_xapic(d, dest, msg->logical);
}

static void accept_init(struct dev *d, const struct apic_msg *msg)
{
    (void)msg;
    lapic_init(d);
    d->board->cpu->init(d->board->cpu_ctx, d->instance);
}

static void accept_fixed(struct dev *d, const struct apic_msg *msg)
{
    if (lapic_accepting(d))
        lapic_raise(d, msg->vector, msg->level);
}

static void accept_nmi(struct dev *d, const struct apic_msg *msg)
{
    (void)msg;
    d->board->cpu->nmi(d->board->cpu_ctx, d->instance);
}

static void accept_sipi(struct dev *d, const struct apic_msg *msg)
{
    d->board->cpu->sipi(d->board->cpu_ctx, d->instance, msg->vector);
}

static void accept_extint(struct dev *d, const struct apic_msg *msg)
{
    (void)msg;
    lapic_of(d)->extint = 1;
    d->board->cpu->kick(d->board->cpu_ctx, d->instance);
}

void lapic_accept(struct dev *d, const struct apic_msg *msg)
{
    static void (*const accept[8])(struct dev *, const struct apic_msg *) = {
        [APIC_FIXED] = accept_fixed, [APIC_LOWEST] = accept_fixed, [APIC_NMI] = accept_nmi,
        [APIC_INIT] = accept_init,   [APIC_SIPI] = accept_sipi,    [APIC_EXTINT] = accept_extint,
    };
    if (lapic_enabled(d) && accept[msg->mode & 7])
        accept[msg->mode & 7](d, msg);
}

/* Every APIC, or every other one, whatever the destination field says. */
static void send_shorthand(struct dev *d, const struct apic_msg *msg, bool others_only)
{
    struct irq *irq = &d->board->irq;
    for (unsigned cpu = 0; cpu < BOARD_MAX_CPUS; cpu++)
        if (irq->lapic[cpu] && !(others_only && irq->lapic[cpu] == d))
            lapic_accept(irq->lapic[cpu], msg);
}

static bool legal(struct dev *d, const struct apic_msg *msg, uint32_t low)
{
    bool carries_vector = msg->mode == APIC_FIXED || msg->mode == APIC_LOWEST;
    if (carries_vector && msg->vector < 16) {
        lapic_error(d, ESR_SEND_ILLEGAL);
        return false;
    }
    bool init_deassert = msg->mode == APIC_INIT && (low & ICR_LEVEL) && !(low & ICR_ASSERT);
    return !init_deassert && msg->mode != APIC_SMI && msg->mode != APIC_EXTINT && msg->mode != 3;
}

void lapic_send(struct dev *d, uint32_t low, uint32_t dest)
{
    struct apic_msg msg = {
        .dest = dest, .logical = low & ICR_LOGICAL, .mode = ICR_MODE(low), .vector = (uint8_t)low,
        .x2apic = lapic_x2apic(d),
    };
    board_trace(d->board, VMK_TRACE_IPI, d->instance, dest, msg.vector, msg.mode);
    if (!legal(d, &msg, low))
        return;
    switch (ICR_SHORTHAND(low)) {
    case TO_SELF:
        lapic_accept(d, &msg);
        break;
    case TO_ALL:
    case TO_OTHERS:
        send_shorthand(d, &msg, ICR_SHORTHAND(low) == TO_OTHERS);
        break;
    default:
        irq_send(d->board, &msg);
    }
}
