/* Proves the interrupt wiring: which line reaches what, the PIC's three ways to a CPU, the router, what a
 * vCPU is told. */
#include "check.h"
#include "chipset.h"

#include "dev/pic.h"

enum { LVT0 = 0x350, MASKED = 1 << 16 };

static void pic_only_kernel_needs_no_apic_setup(void)
{
    rig_init_pic(1 << 0);
    irq_set(rig, 0, 0, false); /* the PIT's output is high at power-on */
    irq_set(rig, 0, 0, true);
    CHECK(irq_pending(rig, 0));
    CHECK(cpu_log.kicks[0] > 0);
    CHECK_EQ(irq_ack(rig, 0), 0x20);
    CHECK(!irq_pending(rig, 0));
}

static void pic_reaches_the_bsp_alone(void)
{
    rig_init_pic(1 << 4);
    irq_set(rig, 4, 0, true);
    CHECK(irq_pending(rig, 0));
    CHECK(!irq_pending(rig, 1));
}

static void masked_lint0_blocks_the_pic_until_opened(void)
{
    apic_enable(0);
    apic_write(0, LVT0, MASKED | 0x700);
    rig_init_pic(1 << 4);
    irq_set(rig, 4, 0, true);
    CHECK(!irq_pending(rig, 0));
    unsigned kicks = cpu_log.kicks[0];
    apic_write(0, LVT0, 0x700);
    CHECK(cpu_log.kicks[0] > kicks);
    CHECK_EQ(irq_ack(rig, 0), 0x24);
}

static void disabled_apic_passes_the_pic_straight_on(void)
{
    apic_enable(0);
    apic_write(0, LVT0, MASKED);
    rig_init_pic(1 << 4);
    irq_set(rig, 4, 0, true);
    CHECK(!irq_pending(rig, 0));
    apic_wrmsr(0, MSR_APIC_BASE, 0xfee00100);
    CHECK_EQ(irq_ack(rig, 0), 0x24);
}

static void extint_comes_before_apic_vectors_whatever_the_priority(void)
{
    apic_enable(0);
    apic_write(0, LVT0, 0x700);
    rig_init_pic(1 << 4);
    apic_write(0, 0x80, 0xf0);
    irq_set(rig, 4, 0, true);
    CHECK_EQ(irq_ack(rig, 0), 0x24);
    apic_write(0, 0x80, 0);
    apic_write(0, 0x300, 0x40000 | 0xfe);
    out8(0x20, 0x20);
    irq_set(rig, 4, 0, false);
    irq_set(rig, 4, 0, true);
    CHECK_EQ(irq_ack(rig, 0), 0x24);
    CHECK_EQ(irq_ack(rig, 0), 0xfe);
}

static void line_2_does_not_exist_and_bad_numbers_are_ignored(void)
{
    struct irq before = rig->irq;
    irq_set(rig, 2, 0, true);
    irq_set(rig, 24, 0, true);
    irq_set(rig, 5, 32, true);
    CHECK(!memcmp(rig->irq.source, before.source, sizeof(before.source)));
}

static void lines_above_15_reach_the_ioapic_only(void)
{
    apic_enable(0);
    rig_init_pic(0xffff);
    ioapic_pin(20, 0, 1 << 15 | 0x60);
    irq_set(rig, 20, 0, true);
    CHECK(!pic_output(board_find(rig, "pic", 0)));
    CHECK_EQ(irq_ack(rig, 0), 0x60);
}

static void slave_line_is_acknowledged_with_the_slave_base(void)
{
    rig_init_pic(1 << 2 | 1 << 12);
    irq_set(rig, 12, 0, true);
    CHECK_EQ(irq_ack(rig, 0), 0x2c);
}

static void nothing_pending_gives_no_vector(void)
{
    CHECK_EQ(irq_ack(rig, 0), (uint64_t)-1);
    CHECK_EQ(irq_ack(rig, 63), (uint64_t)-1);
    CHECK_EQ(irq_ack(rig, 1000), (uint64_t)-1);
    CHECK_EQ(rig->irq.delivered, 0);
}

static void broadcast_message_reaches_every_enabled_apic(void)
{
    apic_enable(0);
    apic_enable(1);
    irq_send(rig, &(struct apic_msg){.dest = 0xff, .vector = 0x77});
    CHECK_EQ(irq_ack(rig, 0), 0x77);
    CHECK_EQ(irq_ack(rig, 1), 0x77);
}

static void nmi_message_goes_to_the_named_cpu(void)
{
    irq_send(rig, &(struct apic_msg){.dest = 1, .mode = APIC_NMI});
    CHECK_EQ(cpu_log.nmis[0], 0);
    CHECK_EQ(cpu_log.nmis[1], 1);
}

static void reset_forgets_pending_requests(void)
{
    apic_enable(0);
    apic_write(0, 0x300, 0x40000 | 0x41);
    rig_init_pic(1 << 4);
    irq_set(rig, 4, 0, true);
    board_reset(rig);
    CHECK(!irq_pending(rig, 0));
    CHECK_EQ(apic_read(0, LVT0), 0x700);
}

int main(void)
{
    RUN_ON(2, pic_only_kernel_needs_no_apic_setup);
    RUN_ON(2, pic_reaches_the_bsp_alone);
    RUN_ON(2, masked_lint0_blocks_the_pic_until_opened);
    RUN_ON(2, disabled_apic_passes_the_pic_straight_on);
    RUN_ON(2, extint_comes_before_apic_vectors_whatever_the_priority);
    RUN_ON(2, line_2_does_not_exist_and_bad_numbers_are_ignored);
    RUN_ON(2, lines_above_15_reach_the_ioapic_only);
    RUN_ON(2, slave_line_is_acknowledged_with_the_slave_base);
    RUN_ON(2, nothing_pending_gives_no_vector);
    RUN_ON(2, broadcast_message_reaches_every_enabled_apic);
    RUN_ON(2, nmi_message_goes_to_the_named_cpu);
    RUN_ON(2, reset_forgets_pending_requests);
    return check_done();
}
