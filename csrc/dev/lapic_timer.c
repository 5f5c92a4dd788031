/* The local APIC's timer: one-shot, periodic and TSC-deadline.
 *
 * Follows Intel SDM volume 3, "APIC Timer". The bus clock is 1 GHz, so one tick of the undivided timer is
 * one ns of VM time, and the guest's TSC is VM ns plus an offset: nothing here rounds or drifts. Only the
 * time of the next expiry is stored; the current count is computed from it. Periods that passed while
 * nobody looked are one interrupt, not many. Leaves out: the undefined timer mode 3, which behaves as
 * one-shot. */
#include "dev/lapic.h"
#include "dev/lapic_regs.h"

#include "core/board.h"

/* A guest that asks for an interrupt every few ns would get nothing else done, and an idle VM would creep
 * from tick to tick. */
#define MIN_PERIOD_NS 10000u

static unsigned timer_mode(const struct lapic *l)
{
    return l->lvt[LVT_TIMER] >> LVT_TIMER_MODE_SHIFT & 3;
}

/* Divide configuration, bits 3, 1 and 0: 000 = 2, 001 = 4, … 110 = 128, 111 = 1. */
static uint64_t divisor(const struct lapic *l)
{
    unsigned code = (l->divide >> 1 & 4) | (l->divide & 3);
    return 1u << ((code + 1) & 7);
}

static uint64_t period(const struct lapic *l)
{
    uint64_t ns = l->initial * divisor(l);
    return ns < MIN_PERIOD_NS ? MIN_PERIOD_NS : ns;
}

static void stop(struct lapic *l)
{
    l->timer_due = DEV_NEVER;
    l->tsc_deadline = 0;
}

/* Is an expiry due? Moves on to the next one. */
static bool expire(struct lapic *l, uint64_t now)
{
    if (l->timer_due > now)
        return false;
    if (timer_mode(l) == TIMER_PERIODIC && l->initial)
        l->timer_due += ((now - l->timer_due) / period(l) + 1) * period(l);
    else
        stop(l);
    return true;
}

void lapic_timer_run(struct dev *d, uint64_t now)
{
    struct lapic *l = lapic_of(d);
    if (expire(l, now) && !(l->lvt[LVT_TIMER] & LVT_MASKED))
        lapic_raise(d, l->lvt[LVT_TIMER] & LVT_VECTOR, false);
}

void lapic_timer_write_lvt(struct dev *d, uint32_t value)
{
    struct lapic *l = lapic_of(d);
    lapic_timer_run(d, board_now(d->board));
    bool was_deadline = timer_mode(l) == TIMER_TSC_DEADLINE;
    l->lvt[LVT_TIMER] = value;
    if (was_deadline != (timer_mode(l) == TIMER_TSC_DEADLINE)) {
        stop(l);
        l->initial = 0;
    }
}

void lapic_timer_write_initial(struct dev *d, uint32_t value)
{
    struct lapic *l = lapic_of(d);
    uint64_t now = board_now(d->board);
    if (timer_mode(l) == TIMER_TSC_DEADLINE)
        return;
    lapic_timer_run(d, now);
    l->initial = value;
    l->timer_due = value ? now + value * divisor(l) : DEV_NEVER;
}

uint32_t lapic_timer_current(struct dev *d)
{
    struct lapic *l = lapic_of(d);
    uint64_t now = board_now(d->board);
    if (timer_mode(l) == TIMER_TSC_DEADLINE)
        return 0;
    lapic_timer_run(d, now);
    if (l->timer_due == DEV_NEVER)
        return 0;
    uint64_t count = (l->timer_due - now + divisor(l) - 1) / divisor(l);
    return count < l->initial ? (uint32_t)count : l->initial;
}

/* The count goes on from where it is, at the new speed. */
void lapic_timer_write_divide(struct dev *d, uint32_t value)
{
    struct lapic *l = lapic_of(d);
    uint64_t count = lapic_timer_current(d);
    l->divide = value & 0xb;
    if (l->timer_due != DEV_NEVER && timer_mode(l) != TIMER_TSC_DEADLINE)
        l->timer_due = board_now(d->board) + count * divisor(l);
}

/* A deadline in the past is due at once, one beyond the clock's end never. */
static void arm_deadline(struct lapic *l, uint64_t now)
{
    uint64_t tsc = now + l->tsc_offset;
    uint64_t ahead = l->tsc_deadline > tsc ? l->tsc_deadline - tsc : 0;
    l->timer_due = ahead < DEV_NEVER - now ? now + ahead : DEV_NEVER;
}

void lapic_timer_write_deadline(struct dev *d, uint64_t tsc)
{
    struct lapic *l = lapic_of(d);
    uint64_t now = board_now(d->board);
    if (timer_mode(l) != TIMER_TSC_DEADLINE)
        return;
    lapic_timer_run(d, now);
    stop(l);
    if (!tsc)
        return;
    l->tsc_deadline = tsc;
    arm_deadline(l, now);
    lapic_timer_run(d, now);
}

uint64_t lapic_timer_read_deadline(struct dev *d)
{
    lapic_timer_run(d, board_now(d->board));
    return lapic_of(d)->tsc_deadline;
}

void lapic_set_tsc_offset(struct dev *d, int64_t offset)
{
    struct lapic *l = lapic_of(d);
    uint64_t now = board_now(d->board);
    lapic_timer_run(d, now);
    l->tsc_offset = (uint64_t)offset;
    if (l->tsc_deadline)
        arm_deadline(l, now);
    dev_rearm(d);
}

/* A masked timer counts on unseen: it is caught up with when somebody looks. */
uint64_t lapic_timer_deadline(struct dev *d)
{
    struct lapic *l = lapic_of(d);
    return l->lvt[LVT_TIMER] & LVT_MASKED ? DEV_NEVER : l->timer_due;
}
