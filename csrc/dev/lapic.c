/* The local APIC: interrupt priorities, the local pins, reset.
 *
 * Follows Intel SDM volume 3, chapter "APIC". Around it: lapic_page.c (registers), lapic_msr.c,
 * lapic_timer.c, lapic_ipi.c. The APIC ID is the CPU's number and read-only in both modes, as on
 * processors since Nehalem. Leaves out: thermal and performance interrupts (their LVT entries are storage)
 * and the remote IRR of LINT pins (a fixed LINT interrupt is taken on the rising edge). */
#include "dev/lapic.h"
#include "dev/lapic_regs.h"

#include "core/board.h"

uint64_t lapic_base(struct dev *d)
{
    return lapic_of(d)->base & ~0xfffull;
}

bool lapic_enabled(struct dev *d)
{
    return lapic_of(d)->base & APIC_BASE_EN;
}

bool lapic_x2apic(struct dev *d)
{
    return lapic_of(d)->base & APIC_BASE_EXTD;
}

uint32_t lapic_id(struct dev *d)
{
    return d->instance;
}

bool lapic_accepting(struct dev *d)
{
    return lapic_enabled(d) && (lapic_of(d)->svr & SVR_ENABLE);
}

unsigned lapic_processor_priority(const struct lapic *l)
{
    int top = bitmap_top(l->isr);
    unsigned serving = top < 0 ? 0 : (unsigned)top & 0xf0;
    return (l->tpr & 0xf0) >= serving ? l->tpr : serving;
}

bool lapic_pending(struct dev *d)
{
    const struct lapic *l = lapic_of(d);
    int top = bitmap_top(l->irr);
    return top >= 0 && ((unsigned)top & 0xf0) > (lapic_processor_priority(l) & 0xf0);
}

static void offer(struct dev *d)
{
    if (lapic_pending(d) || lapic_takes_extint(d))
        d->board->cpu->kick(d->board->cpu_ctx, d->instance);
}

void lapic_settle(struct dev *d)
{
    offer(d);
    dev_rearm(d);
}

int lapic_ack(struct dev *d)
{
    struct lapic *l = lapic_of(d);
    if (!lapic_pending(d))
        return (int)(l->svr & 0xff);
    int vector = bitmap_top(l->irr);
    bitmap_put(l->irr, (unsigned)vector, false);
    bitmap_put(l->isr, (unsigned)vector, true);
    return vector;
}

void lapic_error(struct dev *d, uint32_t bit)
{
    struct lapic *l = lapic_of(d);
    uint32_t lvt = l->lvt[LVT_ERROR];
    l->esr_pending |= bit;
    if (!(lvt & LVT_MASKED) && (lvt & LVT_VECTOR) >= 16)
        lapic_raise(d, lvt & LVT_VECTOR, false);
}

void lapic_raise(struct dev *d, unsigned vector, bool level)
{
    struct lapic *l = lapic_of(d);
    if (vector < 16) {
        lapic_error(d, ESR_RECEIVE_ILLEGAL);
        return;
    }
    bitmap_put(l->irr, vector, true);
    bitmap_put(l->tmr, vector, level);
    lapic_settle(d);
}

bool lapic_takes_extint(struct dev *d)
{
    const struct lapic *l = lapic_of(d);
    bool wired = d->instance == 0 && (l->lint & 1); /* the PIC pair's output reaches the BSP only */
    if (!lapic_enabled(d))
        return wired; /* the pin goes straight to the processor then */
    uint32_t lint0 = l->lvt[LVT_LINT0];
    return l->extint || (wired && !(lint0 & LVT_MASKED) && (lint0 >> LVT_MODE_SHIFT & 7) == APIC_EXTINT);
}

void lapic_extint_taken(struct dev *d)
{
    lapic_of(d)->extint = 0;
}

void lapic_lint(struct dev *d, unsigned pin, bool level)
{
    struct lapic *l = lapic_of(d);
    uint32_t lvt = l->lvt[pin ? LVT_LINT1 : LVT_LINT0], bit = pin ? 2 : 1;
    if (level == ((l->lint & bit) != 0))
        return;
    l->lint ^= bit;
    lapic_settle(d);
    if (!level || (lvt & LVT_MASKED) || !lapic_enabled(d))
        return;
    struct apic_msg msg = {.mode = lvt >> LVT_MODE_SHIFT & 7, .vector = lvt & LVT_VECTOR};
    if (msg.mode == APIC_FIXED || msg.mode == APIC_NMI || msg.mode == APIC_INIT)
        lapic_accept(d, &msg);
}

unsigned lapic_get_tpr(struct dev *d)
{
    return lapic_of(d)->tpr >> 4;
}

void lapic_set_tpr(struct dev *d, unsigned cr8)
{
    lapic_of(d)->tpr = (cr8 & 0xf) << 4;
    offer(d);
}

void lapic_init(struct dev *d)
{
    struct lapic *l = lapic_of(d);
    *l = (struct lapic){
        .base = l->base, .tsc_offset = l->tsc_offset, .lint = l->lint,
        .timer_due = DEV_NEVER, .dfr = DFR_FLAT, .svr = 0xff,
    };
    for (unsigned i = 0; i < LVT_ENTRIES; i++)
        l->lvt[i] = LVT_MASKED;
    /* The BSP starts in virtual-wire mode, as firmware leaves it: kernels that only know the 8259 are
     * started without any. */
    if (d->instance == 0)
        l->lvt[LVT_LINT0] = APIC_EXTINT << LVT_MODE_SHIFT;
    dev_rearm(d);
}

static void lapic_reset(struct dev *d)
{
    struct lapic *l = lapic_of(d);
    uint64_t bsp = d->instance == 0 ? APIC_BASE_BSP : 0;
    *l = (struct lapic){.base = APIC_BASE_DEFAULT | APIC_BASE_EN | bsp, .lint = l->lint};
    lapic_init(d);
}

static int lapic_attach(struct dev *d)
{
    if (d->instance >= BOARD_MAX_CPUS)
        return board_fail(d->board, VMK_EINVAL, "lapic: more than %d CPUs", BOARD_MAX_CPUS);
    d->board->irq.lapic[d->instance] = d;
    return VMK_OK;
}

/* The same page by the common slots, for tools that walk every device; guests come through csrc/cpu. */
static uint64_t lapic_slot_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    (void)region;
    return lapic_mmio_read(d, (uint32_t)off, size);
}

static void lapic_slot_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    (void)region;
    lapic_mmio_write(d, (uint32_t)off, size, (uint32_t)value);
}

static const struct state_field fields[] = {
    FIELD(struct lapic, base, uint64_t),
    FIELD(struct lapic, timer_due, uint64_t),
    FIELD(struct lapic, tsc_deadline, uint64_t),
    FIELD(struct lapic, tsc_offset, uint64_t),
    FIELD(struct lapic, isr, uint32_t),
    FIELD(struct lapic, tmr, uint32_t),
    FIELD(struct lapic, irr, uint32_t),
    FIELD(struct lapic, tpr, uint32_t),
    FIELD(struct lapic, ldr, uint32_t),
    FIELD(struct lapic, dfr, uint32_t),
    FIELD(struct lapic, svr, uint32_t),
    FIELD(struct lapic, esr, uint32_t),
    FIELD(struct lapic, esr_pending, uint32_t),
    FIELD(struct lapic, icr_low, uint32_t),
    FIELD(struct lapic, icr_high, uint32_t),
    FIELD(struct lapic, lvt, uint32_t),
    FIELD(struct lapic, initial, uint32_t),
    FIELD(struct lapic, divide, uint32_t),
    FIELD(struct lapic, lint, uint32_t),
    FIELD(struct lapic, extint, uint32_t),
};

const struct dev_class lapic_class = {
    .name = "lapic",
    .version = 1,
    .size = sizeof(struct lapic),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .init = lapic_attach,
    .reset = lapic_reset,
    .read = lapic_slot_read,
    .write = lapic_slot_write,
    .deadline = lapic_timer_deadline,
    .tick = lapic_timer_run,
};
