/* The local APIC's registers: what reading and writing each does, the table of who may, the xAPIC page.
 *
 * Follows Intel SDM volume 3, chapter "APIC", register by register; lapic_msr.c reaches the same table as
 * MSRs. Leaves out: CMCI, and EOI-broadcast suppression, which the version register does not offer. */
#include "dev/lapic.h"
#include "dev/lapic_regs.h"

#include "core/board.h"

static uint32_t read_id(struct dev *d, unsigned reg)
{
    (void)reg;
    return lapic_x2apic(d) ? lapic_id(d) : lapic_id(d) << 24;
}

static uint32_t read_version(struct dev *d, unsigned reg)
{
    (void)d, (void)reg;
    return APIC_VERSION_VALUE;
}

static uint32_t read_tpr(struct dev *d, unsigned reg)
{
    (void)reg;
    return lapic_of(d)->tpr;
}

static uint32_t read_ppr(struct dev *d, unsigned reg)
{
    (void)reg;
    return lapic_processor_priority(lapic_of(d));
}

static uint32_t read_ldr(struct dev *d, unsigned reg)
{
    uint32_t id = lapic_id(d);
    (void)reg;
    return lapic_x2apic(d) ? id >> 4 << 16 | 1u << (id & 15) : lapic_of(d)->ldr;
}

static uint32_t read_dfr(struct dev *d, unsigned reg)
{
    (void)reg;
    return lapic_of(d)->dfr;
}

static uint32_t read_svr(struct dev *d, unsigned reg)
{
    (void)reg;
    return lapic_of(d)->svr;
}

static uint32_t read_bitmap(struct dev *d, unsigned reg)
{
    const struct lapic *l = lapic_of(d);
    const uint32_t *map = reg < APIC_TMR ? l->isr : reg < APIC_IRR ? l->tmr : l->irr;
    return map[reg & 7];
}

static uint32_t read_esr(struct dev *d, unsigned reg)
{
    (void)reg;
    return lapic_of(d)->esr;
}

static uint32_t read_icr(struct dev *d, unsigned reg)
{
    return reg == APIC_ICR ? lapic_of(d)->icr_low : lapic_of(d)->icr_high;
}

static uint32_t read_lvt(struct dev *d, unsigned reg)
{
    return lapic_of(d)->lvt[reg - APIC_LVT];
}

static uint32_t read_timer(struct dev *d, unsigned reg)
{
    const struct lapic *l = lapic_of(d);
    if (reg != APIC_CURRENT)
        return reg == APIC_INITIAL ? l->initial : l->divide;
    uint32_t count = lapic_timer_current(d); /* may find the timer due */
    lapic_settle(d);
    return count;
}

static uint32_t read_zero(struct dev *d, unsigned reg)
{
    (void)d, (void)reg;
    return 0;
}

static void write_tpr(struct dev *d, unsigned reg, uint32_t value)
{
    (void)reg;
    lapic_of(d)->tpr = value & 0xff;
}

static void write_eoi(struct dev *d, unsigned reg, uint32_t value)
{
    struct lapic *l = lapic_of(d);
    int vector = bitmap_top(l->isr);
    (void)reg, (void)value;
    if (vector < 0)
        return;
    bitmap_put(l->isr, (unsigned)vector, false);
    if (bitmap_test(l->tmr, (unsigned)vector))
        irq_eoi(d->board, (uint8_t)vector);
}

static void write_ldr(struct dev *d, unsigned reg, uint32_t value)
{
    (void)reg;
    lapic_of(d)->ldr = value & 0xff000000;
}

static void write_dfr(struct dev *d, unsigned reg, uint32_t value)
{
    (void)reg;
    lapic_of(d)->dfr = value | 0x0fffffff;
}

static void mask_all(struct lapic *l)
{
    for (unsigned i = 0; i < LVT_ENTRIES; i++)
        l->lvt[i] |= LVT_MASKED;
}

static void write_svr(struct dev *d, unsigned reg, uint32_t value)
{
    struct lapic *l = lapic_of(d);
    (void)reg;
    lapic_timer_run(d, board_now(d->board));
    l->svr = value & 0x3ff;
    if (!(l->svr & SVR_ENABLE))
        mask_all(l);
}

static void write_esr(struct dev *d, unsigned reg, uint32_t value)
{
    struct lapic *l = lapic_of(d);
    (void)reg, (void)value;
    l->esr = l->esr_pending;
    l->esr_pending = 0;
}

static void write_icr(struct dev *d, unsigned reg, uint32_t value)
{
    struct lapic *l = lapic_of(d);
    if (reg == APIC_ICR_HIGH) {
        l->icr_high = value & 0xff000000;
        return;
    }
    l->icr_low = value & ICR_VALID & ~ICR_BUSY;
    lapic_send(d, l->icr_low, l->icr_high >> 24);
}

static void write_self_ipi(struct dev *d, unsigned reg, uint32_t value)
{
    (void)reg;
    lapic_send(d, TO_SELF << 18 | (value & 0xff), 0);
}

/* While the APIC is disabled by software every entry stays masked. */
static void write_lvt(struct dev *d, unsigned reg, uint32_t value)
{
    static const uint32_t writable[LVT_ENTRIES] = {0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};
    struct lapic *l = lapic_of(d);
    unsigned entry = reg - APIC_LVT;
    value &= writable[entry];
    if (!(l->svr & SVR_ENABLE))
        value |= LVT_MASKED;
    if (entry == LVT_TIMER)
        lapic_timer_write_lvt(d, value);
    else
        l->lvt[entry] = value;
}

static void write_timer(struct dev *d, unsigned reg, uint32_t value)
{
    if (reg == APIC_INITIAL)
        lapic_timer_write_initial(d, value);
    else
        lapic_timer_write_divide(d, value);
}

const struct lapic_reg lapic_regs[APIC_REGS] = {
    [APIC_ID] = {RO, 0, read_id, NULL},
    [APIC_VERSION] = {RO, 0, read_version, NULL},
    [APIC_TPR] = {RW, 0xff, read_tpr, write_tpr},
    [APIC_APR] = {XR, 0, read_zero, NULL},
    [APIC_PPR] = {RO, 0, read_ppr, NULL},
    [APIC_EOI] = {WO, 0, NULL, write_eoi},
    [APIC_LDR] = {XR | XW | X2R, 0, read_ldr, write_ldr},
    [APIC_DFR] = {XR | XW, 0, read_dfr, write_dfr},
    [APIC_SVR] = {RW, 0x3ff, read_svr, write_svr},
    [APIC_ISR ... APIC_ISR + 7] = {RO, 0, read_bitmap, NULL},
    [APIC_TMR ... APIC_TMR + 7] = {RO, 0, read_bitmap, NULL},
    [APIC_IRR ... APIC_IRR + 7] = {RO, 0, read_bitmap, NULL},
    [APIC_ESR] = {RW, 0, read_esr, write_esr},
    [APIC_ICR] = {XR | XW, 0, read_icr, write_icr}, /* x2APIC: one 64-bit MSR, in lapic_msr.c */
    [APIC_ICR_HIGH] = {XR | XW, 0, read_icr, write_icr},
    [APIC_LVT + LVT_TIMER] = {RW, 0x710ff, read_lvt, write_lvt},
    [APIC_LVT + LVT_THERMAL] = {RW, 0x117ff, read_lvt, write_lvt},
    [APIC_LVT + LVT_PERF] = {RW, 0x117ff, read_lvt, write_lvt},
    [APIC_LVT + LVT_LINT0] = {RW, 0x1f7ff, read_lvt, write_lvt},
    [APIC_LVT + LVT_LINT1] = {RW, 0x1f7ff, read_lvt, write_lvt},
    [APIC_LVT + LVT_ERROR] = {RW, 0x110ff, read_lvt, write_lvt},
    [APIC_INITIAL] = {RW, 0xffffffff, read_timer, write_timer},
    [APIC_CURRENT] = {RO, 0, read_timer, NULL},
    [APIC_DIVIDE] = {RW, 0xb, read_timer, write_timer},
    [APIC_SELF_IPI] = {X2W, 0xff, NULL, write_self_ipi},
};

static bool page_answers(struct dev *d)
{
    return lapic_enabled(d) && !lapic_x2apic(d);
}

uint32_t lapic_mmio_read(struct dev *d, uint32_t off, unsigned size)
{
    if (!page_answers(d))
        return 0xffffffff;
    if (size != 4 || off & 15)
        return 0;
    const struct lapic_reg *r = lapic_reg(off >> 4, XR);
    uint32_t value = 0;
    if (r)
        value = r->read(d, off >> 4);
    else if (!lapic_reg(off >> 4, XW))
        lapic_error(d, ESR_ILLEGAL_REGISTER);
    return value;
}

void lapic_mmio_write(struct dev *d, uint32_t off, unsigned size, uint32_t value)
{
    if (!page_answers(d) || size != 4 || off & 15)
        return;
    const struct lapic_reg *r = lapic_reg(off >> 4, XW);
    if (r)
        r->write(d, off >> 4, value);
    else if (!lapic_reg(off >> 4, XR))
        lapic_error(d, ESR_ILLEGAL_REGISTER);
    lapic_settle(d);
}
