/* Local APIC, xAPIC mode (Intel SDM vol. 3, 11.4 and 11.5.4). Leaves out x2APIC, LINT pins and errors. */
#include "lapic.h"

enum { SOFTWARE_ENABLE = 0x100, SPURIOUS = 0xff, PERIODIC = 1 << 17, DIVIDE_BY_1 = 0xb };
static const uint64_t base = 0xfee00000;

uint32_t lapic_read(enum lapic_register reg)
{
    return *(volatile uint32_t *)(base + reg);
}

void lapic_write(enum lapic_register reg, uint32_t value)
{
    *(volatile uint32_t *)(base + reg) = value;
}

void lapic_enable(void)
{
    lapic_write(LAPIC_SVR, SOFTWARE_ENABLE | SPURIOUS);
}

void lapic_timer(unsigned vector, uint32_t count)
{
    lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
    lapic_write(LAPIC_LVT_TIMER, PERIODIC | vector);
    lapic_write(LAPIC_TIMER_INITIAL, count);
}
