/* The local APIC's MSRs: base and mode (0x1B), TSC deadline (0x6E0), x2APIC registers (from 0x800).
 *
 * Follows Intel SDM volume 3, "x2APIC Mode": modes change only disabled -> xAPIC -> x2APIC and from either
 * to disabled; reserved bits, absent registers and accesses of the wrong direction are #GP, which csrc/cpu
 * injects. */
#include "dev/lapic.h"
#include "dev/lapic_regs.h"

#include "core/board.h"

static int write_base(struct dev *d, uint64_t value)
{
    struct lapic *l = lapic_of(d);
    uint64_t reserved = ~((1ull << APIC_BASE_PHYS_BITS) - 1) | 0x2ff;
    uint64_t was = l->base & (APIC_BASE_EN | APIC_BASE_EXTD), will = value & (APIC_BASE_EN | APIC_BASE_EXTD);
    bool legal = will != APIC_BASE_EXTD && !(was == 0 && will & APIC_BASE_EXTD) &&
                 !(was & APIC_BASE_EXTD && will == APIC_BASE_EN);
    if ((value & reserved) || !legal)
        return -1;
    l->base = value;
    if (was && !will)
        lapic_init(d);
    return 0;
}

static int write_icr_msr(struct dev *d, uint64_t value)
{
    struct lapic *l = lapic_of(d);
    if ((uint32_t)value & ~ICR_VALID)
        return -1;
    l->icr_low = (uint32_t)value & ~ICR_BUSY;
    l->icr_high = (uint32_t)(value >> 32);
    lapic_send(d, l->icr_low, l->icr_high);
    return 0;
}

static int read_x2apic(struct dev *d, unsigned reg, uint64_t *value)
{
    const struct lapic_reg *r = lapic_reg(reg, X2R);
    if (!lapic_x2apic(d))
        return -1;
    if (reg == APIC_ICR)
        *value = (uint64_t)lapic_of(d)->icr_high << 32 | lapic_of(d)->icr_low;
    else if (r)
        *value = r->read(d, reg);
    else
        return -1;
    return 0;
}

static int write_x2apic(struct dev *d, unsigned reg, uint64_t value)
{
    const struct lapic_reg *r = lapic_reg(reg, X2W);
    if (!lapic_x2apic(d))
        return -1;
    if (reg == APIC_ICR)
        return write_icr_msr(d, value);
    if (!r || value & ~(uint64_t)r->x2_writable)
        return -1;
    r->write(d, reg, (uint32_t)value);
    return 0;
}

int lapic_msr_read(struct dev *d, uint32_t msr, uint64_t *value)
{
    int result = 0;
    if (msr == MSR_APIC_BASE)
        *value = lapic_of(d)->base;
    else if (msr == MSR_TSC_DEADLINE)
        *value = lapic_timer_read_deadline(d);
    else
        result = msr >= MSR_X2APIC_FIRST ? read_x2apic(d, msr - MSR_X2APIC_FIRST, value) : -1;
    lapic_settle(d);
    return result;
}

int lapic_msr_write(struct dev *d, uint32_t msr, uint64_t value)
{
    int result = 0;
    if (msr == MSR_APIC_BASE)
        result = write_base(d, value);
    else if (msr == MSR_TSC_DEADLINE)
        lapic_timer_write_deadline(d, value);
    else
        result = msr >= MSR_X2APIC_FIRST ? write_x2apic(d, msr - MSR_X2APIC_FIRST, value) : -1;
    lapic_settle(d);
    return result;
}
