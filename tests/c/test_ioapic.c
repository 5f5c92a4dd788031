/* Proves the I/O APIC: registers, edge and level pins, remote IRR, EOI, the storm guard, ExtINT. */
#include "check.h"
#include "chipset.h"

enum { EDGE = 0, LEVEL = 1 << 15, MASKED = 1 << 16, REMOTE_IRR = 1 << 14, EXTINT = 0x700 };

static void eoi(unsigned cpu) { apic_write(cpu, 0xb0, 0); }

static void registers_identify_24_pins(void)
{
    CHECK_EQ(ioapic_read(1), 0x00170020);
    CHECK_EQ(ioapic_read(0), 2 << 24);
    ioapic_write(0, 0xff000000);
    CHECK_EQ(ioapic_read(0), 0x0f000000);
    CHECK_EQ(ioapic_read(0x10), MASKED);
    CHECK_EQ(ioapic_read(0x3e), MASKED);
}

static void indices_behind_the_last_pin_read_zero(void)
{
    ioapic_write(0x40, 0xffffffff);
    ioapic_write(0xff, 0xffffffff);
    CHECK_EQ(ioapic_read(0x40), 0);
    CHECK_EQ(ioapic_read(0xff), 0);
    CHECK_EQ(ioapic_read(3), 0);
}

static void entry_keeps_only_its_writable_bits(void)
{
    ioapic_write(0x13, 0xffffffff);
    ioapic_write(0x12, 0xffffffff);
    CHECK_EQ(ioapic_read(0x12), 0x1afff);
    CHECK_EQ(ioapic_read(0x13), 0xff000000);
}

static void edge_is_delivered_once_per_rise(void)
{
    ioapic_pin(5, 1, EDGE | 0x41);
    irq_set(rig, 5, 0, true);
    CHECK_EQ(irq_ack(rig, 1), 0x41);
    eoi(1);
    CHECK(!irq_pending(rig, 1));
    irq_set(rig, 5, 0, false);
    irq_set(rig, 5, 0, true);
    CHECK_EQ(irq_ack(rig, 1), 0x41);
}

static void edge_while_masked_is_dropped(void)
{
    ioapic_pin(5, 0, MASKED | 0x41);
    irq_set(rig, 5, 0, true);
    irq_set(rig, 5, 0, false);
    ioapic_pin(5, 0, EDGE | 0x41);
    CHECK(!irq_pending(rig, 0));
    irq_set(rig, 5, 0, true);
    CHECK_EQ(irq_ack(rig, 0), 0x41);
    eoi(0);
    CHECK(!irq_pending(rig, 0));
}

static void level_repeats_until_the_line_drops(void)
{
    ioapic_pin(11, 0, LEVEL | 0x51);
    irq_set(rig, 11, 0, true);
    CHECK_EQ(ioapic_read(0x26), LEVEL | REMOTE_IRR | 0x51);
    CHECK_EQ(irq_ack(rig, 0), 0x51);
    CHECK_EQ(apic_read(0, 0x1a0), 1 << 17); /* TMR */
    CHECK(!irq_pending(rig, 0));
    eoi(0);
    CHECK_EQ(irq_ack(rig, 0), 0x51);
    irq_set(rig, 11, 0, false);
    eoi(0);
    CHECK(!irq_pending(rig, 0));
    CHECK_EQ(ioapic_read(0x26), LEVEL | 0x51);
}

static void level_line_is_seen_when_unmasked(void)
{
    ioapic_pin(11, 0, LEVEL | MASKED | 0x51);
    irq_set(rig, 11, 0, true);
    CHECK(!irq_pending(rig, 0));
    ioapic_pin(11, 0, LEVEL | 0x51);
    CHECK(irq_pending(rig, 0));
}

static void masking_keeps_and_edge_mode_clears_remote_irr(void)
{
    ioapic_pin(11, 0, LEVEL | 0x51);
    irq_set(rig, 11, 0, true);
    ioapic_write(0x26, LEVEL | MASKED | 0x51);
    CHECK(ioapic_read(0x26) & REMOTE_IRR);
    ioapic_write(0x26, MASKED | 0x51);
    CHECK(!(ioapic_read(0x26) & REMOTE_IRR));
}

static void eoi_register_ends_like_a_broadcast(void)
{
    ioapic_pin(11, 0, LEVEL | 0x51);
    irq_set(rig, 11, 0, true);
    irq_set(rig, 11, 0, false);
    bus_mmio_write(rig, IOAPIC_BASE + 0x40, 4, 0x50);
    CHECK(ioapic_read(0x26) & REMOTE_IRR);
    bus_mmio_write(rig, IOAPIC_BASE + 0x40, 4, 0x51);
    CHECK(!(ioapic_read(0x26) & REMOTE_IRR));
}

static void two_sources_hold_one_line(void)
{
    ioapic_pin(10, 0, LEVEL | 0x51);
    irq_set(rig, 10, 1, true);
    irq_set(rig, 10, 2, true);
    irq_set(rig, 10, 1, false);
    CHECK_EQ(irq_ack(rig, 0), 0x51);
    eoi(0);
    CHECK_EQ(irq_ack(rig, 0), 0x51);
    irq_set(rig, 10, 2, false);
    eoi(0);
    CHECK(!irq_pending(rig, 0));
}

static void stuck_line_is_slowed_down(void)
{
    unsigned taken = 0;
    ioapic_pin(11, 0, LEVEL | 0x51);
    irq_set(rig, 11, 0, true);
    while (irq_ack(rig, 0) == 0x51 && ++taken < 20000)
        eoi(0);
    CHECK_EQ(taken, 10001);
    rig_advance(10 * MS);
    CHECK_EQ(irq_ack(rig, 0), 0x51);
}

static void timer_line_0_is_pin_2(void)
{
    ioapic_pin(2, 0, EDGE | 0x30);
    irq_set(rig, 0, 0, false); /* the PIT's output is high at power-on */
    irq_set(rig, 0, 0, true);
    CHECK_EQ(irq_ack(rig, 0), 0x30);
}

static void pin_0_is_the_pic_pair(void)
{
    apic_write(0, 0x350, MASKED);
    rig_init_pic(1 << 4);
    ioapic_pin(0, 1, EXTINT);
    irq_set(rig, 4, 0, true);
    CHECK(!irq_pending(rig, 0));
    CHECK_EQ(irq_ack(rig, 1), 0x24);
    CHECK(!irq_pending(rig, 1));
}

static void illegal_vector_is_an_apic_error(void)
{
    ioapic_pin(5, 0, EDGE | 0x0f);
    irq_set(rig, 5, 0, true);
    apic_write(0, 0x280, 0);
    CHECK_EQ(apic_read(0, 0x280), 0x40);
    CHECK(!irq_pending(rig, 0));
}

static void restored_level_line_stays_asserted(void)
{
    ioapic_pin(11, 0, LEVEL | 0x51);
    irq_set(rig, 11, 0, true);
    CHECK_EQ(irq_ack(rig, 0), 0x51);
    chipset_reborn();
    CHECK(ioapic_read(0x26) & REMOTE_IRR);
    irq_set(rig, 11, 0, true);
    CHECK(!irq_pending(rig, 0));
    eoi(0);
    CHECK_EQ(irq_ack(rig, 0), 0x51);
}

static void with_apics(void (*test)(void), const char *name)
{
    chipset_begin(2);
    check_test = name;
    apic_enable(0);
    apic_enable(1);
    test();
    rig_end();
}

#define RUN_WITH_APICS(test) with_apics(test, #test)

int main(void)
{
    RUN_WITH_APICS(registers_identify_24_pins);
    RUN_WITH_APICS(indices_behind_the_last_pin_read_zero);
    RUN_WITH_APICS(entry_keeps_only_its_writable_bits);
    RUN_WITH_APICS(edge_is_delivered_once_per_rise);
    RUN_WITH_APICS(edge_while_masked_is_dropped);
    RUN_WITH_APICS(level_repeats_until_the_line_drops);
    RUN_WITH_APICS(level_line_is_seen_when_unmasked);
    RUN_WITH_APICS(masking_keeps_and_edge_mode_clears_remote_irr);
    RUN_WITH_APICS(eoi_register_ends_like_a_broadcast);
    RUN_WITH_APICS(two_sources_hold_one_line);
    RUN_WITH_APICS(stuck_line_is_slowed_down);
    RUN_WITH_APICS(timer_line_0_is_pin_2);
    RUN_WITH_APICS(pin_0_is_the_pic_pair);
    RUN_WITH_APICS(illegal_vector_is_an_apic_error);
    RUN_WITH_APICS(restored_level_line_stays_asserted);
    return check_done();
}
