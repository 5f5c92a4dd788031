/* Proves the local APIC: modes, priorities, timer, IPIs, pins, errors; sequences as SeaBIOS, Linux and
 * kvm-unit-tests perform them. */
#include "check.h"
#include "chipset.h"

enum {
    TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100, IRR = 0x200,
    ESR = 0x280, ICR = 0x300, ICR2 = 0x310, LVTT = 0x320, LVT0 = 0x350, LVT1 = 0x360, LVTERR = 0x370,
    TMICT = 0x380, TMCCT = 0x390, TDCR = 0x3e0,
};

static void powers_up_enabled_at_its_default_base(void)
{
    CHECK_EQ(apic_rdmsr(0, MSR_APIC_BASE), 0xfee00900);
    CHECK_EQ(apic_rdmsr(1, MSR_APIC_BASE), 0xfee00800);
    CHECK_EQ(lapic_base(apic(1)), 0xfee00000);
    CHECK_EQ(apic_read(1, 0x20), 1u << 24);
    CHECK_EQ(apic_read(0, 0x30), 0x50014);
    CHECK_EQ(apic_read(0, SVR), 0xff);
    CHECK_EQ(apic_read(0, DFR), 0xffffffff);
    CHECK_EQ(apic_read(1, LVT0), 0x10000);
}

static void id_and_version_are_read_only(void)
{
    apic_write(0, 0x20, 5 << 24);
    apic_write(0, 0x30, 0);
    CHECK_EQ(apic_read(0, 0x20), 0);
    CHECK_EQ(apic_read(0, 0x30), 0x50014);
}

static void odd_widths_and_offsets_do_nothing(void)
{
    lapic_mmio_write(apic(0), TPR, 1, 0x55);
    lapic_mmio_write(apic(0), TPR + 4, 4, 0x55);
    CHECK_EQ(apic_read(0, TPR), 0);
    CHECK_EQ(lapic_mmio_read(apic(0), 0x30, 2), 0);
    CHECK_EQ(lapic_mmio_read(apic(0), 0xfffffff0, 4), 0);
}

static void unknown_register_sets_esr_bit_7(void)
{
    apic_read(0, 0x40);
    CHECK_EQ(apic_read(0, ESR), 0);
    apic_write(0, ESR, 0);
    CHECK_EQ(apic_read(0, ESR), 0x80);
    apic_write(0, ESR, 0);
    CHECK_EQ(apic_read(0, ESR), 0);
}

static void self_ipi_waits_for_ack_and_eoi(void)
{
    apic_enable(0);
    apic_write(0, ICR, 0x40000 | 0x41);
    CHECK(irq_pending(rig, 0));
    CHECK_EQ(apic_read(0, IRR + 0x20), 2);
    CHECK_EQ(irq_ack(rig, 0), 0x41);
    CHECK_EQ(apic_read(0, ISR + 0x20), 2);
    CHECK_EQ(apic_read(0, PPR), 0x40);
    CHECK(!irq_pending(rig, 0));
    apic_write(0, EOI, 0);
    CHECK_EQ(apic_read(0, PPR), 0);
    CHECK_EQ(irq_ack(rig, 0), (uint64_t)-1);
}

static void higher_class_interrupts_lower_and_same_class_waits(void)
{
    apic_enable(0);
    apic_write(0, ICR, 0x40000 | 0x51);
    CHECK_EQ(irq_ack(rig, 0), 0x51);
    apic_write(0, ICR, 0x40000 | 0x5f);
    CHECK(!irq_pending(rig, 0));
    apic_write(0, ICR, 0x40000 | 0x61);
    CHECK_EQ(irq_ack(rig, 0), 0x61);
    apic_write(0, EOI, 0);
    CHECK(!irq_pending(rig, 0));
    apic_write(0, EOI, 0);
    CHECK_EQ(irq_ack(rig, 0), 0x5f);
}

static void task_priority_masks_its_class_and_below(void)
{
    apic_enable(0);
    lapic_set_tpr(apic(0), 4);
    CHECK_EQ(apic_read(0, TPR), 0x40);
    apic_write(0, ICR, 0x40000 | 0x4f);
    CHECK(!irq_pending(rig, 0));
    unsigned kicks = cpu_log.kicks[0];
    lapic_set_tpr(apic(0), 3);
    CHECK(irq_pending(rig, 0));
    CHECK(cpu_log.kicks[0] > kicks);
    CHECK_EQ(lapic_get_tpr(apic(0)), 3);
}

static void ack_after_the_request_was_masked_is_spurious(void)
{
    apic_enable(0);
    apic_write(0, ICR, 0x40000 | 0x41);
    apic_write(0, TPR, 0xf0);
    CHECK_EQ(lapic_ack(apic(0)), 0xff);
    CHECK_EQ(apic_read(0, ISR + 0x70), 0);
    CHECK_EQ(apic_read(0, IRR + 0x20), 2);
}

static void software_disabled_apic_masks_lvts_and_drops_fixed_ipis(void)
{
    apic_enable(0);
    apic_write(0, LVTT, 0x30);
    apic_write(0, SVR, 0xff);
    CHECK_EQ(apic_read(0, LVTT), 0x10030);
    apic_write(0, LVTT, 0x30);
    CHECK_EQ(apic_read(0, LVTT), 0x10030);
    apic_write(1, ICR2, 0);
    apic_write(1, ICR, 0x41);
    CHECK(!irq_pending(rig, 0));
    apic_write(1, ICR, 0x400);
    CHECK_EQ(cpu_log.nmis[0], 1);
}

static void illegal_vectors_are_errors_at_sender_and_receiver(void)
{
    apic_enable(0);
    apic_write(0, LVTERR, 0x33);
    apic_write(0, ICR, 0x40000 | 5);
    apic_write(0, ESR, 0);
    CHECK_EQ(apic_read(0, ESR), 0x20);
    CHECK_EQ(irq_ack(rig, 0), 0x33);
    irq_send(rig, &(struct apic_msg){.dest = 0, .vector = 0});
    apic_write(0, ESR, 0);
    CHECK_EQ(apic_read(0, ESR), 0x40);
}

static void one_shot_timer_fires_once_at_its_nanosecond(void)
{
    apic_enable(0);
    apic_write(0, TDCR, 0x3); /* 16 */
    apic_write(0, LVTT, 0x30);
    apic_write(0, TMICT, 1000);
    rig_advance(15999);
    CHECK(!irq_pending(rig, 0));
    CHECK_EQ(apic_read(0, TMCCT), 1);
    rig_advance(1);
    CHECK_EQ(irq_ack(rig, 0), 0x30);
    CHECK_EQ(apic_read(0, TMCCT), 0);
    CHECK_EQ(apic_read(0, TMICT), 1000);
    apic_write(0, EOI, 0);
    rig_advance(SECOND);
    CHECK(!irq_pending(rig, 0));
}

static void every_divide_code_divides(void)
{
    static const struct { uint32_t code, by; } rows[] = {
        {0x0, 2}, {0x1, 4}, {0x2, 8}, {0x3, 16}, {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1},
    };
    for (unsigned i = 0; i < 8; i++) {
        apic_write(0, TDCR, rows[i].code);
        apic_write(0, TMICT, 1000000);
        rig_advance(12800);
        CHECK_EQ(1000000 - apic_read(0, TMCCT), 12800 / rows[i].by);
    }
}

static void divide_change_keeps_the_count(void)
{
    apic_write(0, TDCR, 0xb);
    apic_write(0, TMICT, 100000);
    rig_advance(40000);
    apic_write(0, TDCR, 0x3);
    CHECK_EQ(apic_read(0, TMCCT), 60000);
    rig_advance(16 * 1000);
    CHECK_EQ(apic_read(0, TMCCT), 59000);
}

static void periodic_timer_does_not_drift_and_coalesces(void)
{
    apic_enable(0);
    apic_write(0, TDCR, 0xb);
    apic_write(0, LVTT, 0x20030);
    apic_write(0, TMICT, 1000003);
    unsigned fired = 0;
    for (unsigned i = 0; i < 1000; i++) {
        rig_advance(1000003);
        if (irq_ack(rig, 0) == 0x30)
            fired++;
        apic_write(0, EOI, 0);
    }
    CHECK_EQ(fired, 1000);
    clock_skip_to(&rig->clock, board_now(rig) + 10 * 1000003);
    board_run_due(rig);
    CHECK_EQ(irq_ack(rig, 0), 0x30);
    apic_write(0, EOI, 0);
    board_run_due(rig);
    CHECK(!irq_pending(rig, 0));
    CHECK_EQ(apic_read(0, TMCCT), 1000003);
}

static void tiny_periods_are_stretched(void)
{
    apic_enable(0);
    apic_write(0, TDCR, 0xb);
    apic_write(0, LVTT, 0x20030);
    apic_write(0, TMICT, 1);
    unsigned before = cpu_log.kicks[0];
    rig_advance(1 * MS);
    CHECK(cpu_log.kicks[0] - before <= 102);
    CHECK(apic_read(0, TMCCT) <= 1);
}

static void masked_timer_counts_without_interrupt_or_deadline(void)
{
    apic_enable(0);
    apic_write(0, TDCR, 0xb);
    apic_write(0, LVTT, 0x30030);
    apic_write(0, TMICT, 1000000);
    rig_advance(2500000);
    CHECK_EQ(apic_read(0, TMCCT), 500000);
    apic_write(0, LVTT, 0x20030);
    CHECK(!irq_pending(rig, 0));
    rig_advance(500000);
    CHECK(irq_pending(rig, 0));
}

static void periodic_to_one_shot_ends_at_zero(void)
{
    apic_write(0, TDCR, 0xb);
    apic_write(0, LVTT, 0x30030);
    apic_write(0, TMICT, 100000);
    rig_advance(150000);
    apic_write(0, LVTT, 0x10030);
    CHECK_EQ(apic_read(0, TMCCT), 50000);
    rig_advance(60000);
    CHECK_EQ(apic_read(0, TMCCT), 0);
    apic_write(0, LVTT, 0x30030);
    CHECK_EQ(apic_read(0, TMCCT), 0);
}

static void tsc_deadline_fires_at_the_tsc_and_reads_zero_after(void)
{
    apic_enable(0);
    apic_write(0, LVTT, 0x40030);
    uint64_t when = board_now(rig) + 5000;
    apic_wrmsr(0, MSR_TSC_DEADLINE, when);
    CHECK_EQ(apic_rdmsr(0, MSR_TSC_DEADLINE), when);
    CHECK_EQ(apic(0)->deadline, when);
    rig_advance(4999);
    CHECK(!irq_pending(rig, 0));
    rig_advance(1);
    CHECK_EQ(irq_ack(rig, 0), 0x30);
    CHECK_EQ(apic_rdmsr(0, MSR_TSC_DEADLINE), 0);
    apic_write(0, TMICT, 500);
    CHECK_EQ(apic_read(0, TMICT), 0);
    CHECK_EQ(apic_read(0, TMCCT), 0);
}

static void tsc_deadline_in_the_past_fires_at_once(void)
{
    apic_enable(0);
    rig_advance(1000);
    apic_write(0, LVTT, 0x40030);
    apic_wrmsr(0, MSR_TSC_DEADLINE, 1);
    CHECK_EQ(irq_ack(rig, 0), 0x30);
}

static void tsc_deadline_zero_or_mode_change_disarms(void)
{
    apic_enable(0);
    apic_write(0, LVTT, 0x40030);
    apic_wrmsr(0, MSR_TSC_DEADLINE, board_now(rig) + 1000);
    apic_wrmsr(0, MSR_TSC_DEADLINE, 0);
    rig_advance(5000);
    CHECK(!irq_pending(rig, 0));
    apic_wrmsr(0, MSR_TSC_DEADLINE, board_now(rig) + 1000);
    apic_write(0, LVTT, 0x30);
    rig_advance(5000);
    CHECK(!irq_pending(rig, 0));
    apic_wrmsr(0, MSR_TSC_DEADLINE, board_now(rig) + 1000);
    CHECK_EQ(apic_rdmsr(0, MSR_TSC_DEADLINE), 0);
}

static void tsc_deadline_follows_the_tsc_offset_and_never_wraps(void)
{
    apic_enable(0);
    rig_advance(1000);
    apic_write(0, LVTT, 0x40030);
    lapic_set_tsc_offset(apic(0), -500);
    apic_wrmsr(0, MSR_TSC_DEADLINE, board_now(rig) + 1000 - 500);
    CHECK_EQ(apic(0)->deadline, board_now(rig) + 1000);
    lapic_set_tsc_offset(apic(0), 0);
    CHECK_EQ(apic(0)->deadline, board_now(rig) + 500);
    apic_wrmsr(0, MSR_TSC_DEADLINE, UINT64_MAX);
    rig_advance(SECOND);
    CHECK(!irq_pending(rig, 0));
}

static void x2apic_is_entered_from_xapic_only(void)
{
    uint64_t base = apic_rdmsr(0, MSR_APIC_BASE);
    CHECK_EQ(apic_wrmsr(0, MSR_APIC_BASE, (base & ~0x800ull) | 0x400), (uint64_t)-1);
    CHECK_EQ(apic_rdmsr(0, 0x802), UINT64_MAX);
    CHECK_EQ(apic_wrmsr(0, MSR_APIC_BASE, base | 0x400), 0);
    CHECK_EQ(apic_rdmsr(0, 0x803), 0x50014);
    CHECK_EQ(apic_read(0, 0x30), 0xffffffff);
    CHECK_EQ(apic_wrmsr(0, MSR_APIC_BASE, base), (uint64_t)-1);
    CHECK_EQ(apic_wrmsr(0, MSR_APIC_BASE, base & ~0x800ull), 0);
    CHECK(!lapic_enabled(apic(0)));
    CHECK_EQ(apic_wrmsr(0, MSR_APIC_BASE, base | 0x400), (uint64_t)-1);
    CHECK_EQ(apic_wrmsr(0, MSR_APIC_BASE, base), 0);
}

static void base_reserved_bits_fault_and_base_moves(void)
{
    CHECK_EQ(apic_wrmsr(0, MSR_APIC_BASE, 0xfee00900 | 1), (uint64_t)-1);
    CHECK_EQ(apic_wrmsr(0, MSR_APIC_BASE, 0xfee00900 | 1ull << 40), (uint64_t)-1);
    CHECK_EQ(apic_wrmsr(0, MSR_APIC_BASE, 0xd0000900), 0);
    CHECK_EQ(lapic_base(apic(0)), 0xd0000000);
}

static void x2apic_faults_where_the_manual_says(void)
{
    apic_x2(0);
    static const uint32_t absent[] = {0x800, 0x804, 0x809, 0x80e, 0x829, 0x831, 0x838 + 5, 0x83f + 1, 0x8ff};
    for (unsigned i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        CHECK_EQ(apic_rdmsr(0, absent[i]), UINT64_MAX);
    CHECK_EQ(apic_rdmsr(0, 0x80b), UINT64_MAX);              /* EOI is write-only */
    CHECK_EQ(apic_rdmsr(0, 0x83f), UINT64_MAX);              /* so is self IPI */
    CHECK_EQ(apic_wrmsr(0, 0x802, 0), (uint64_t)-1);         /* ID */
    CHECK_EQ(apic_wrmsr(0, 0x80d, 0), (uint64_t)-1);         /* LDR */
    CHECK_EQ(apic_wrmsr(0, 0x80b, 1), (uint64_t)-1);
    CHECK_EQ(apic_wrmsr(0, 0x828, 1), (uint64_t)-1);
    CHECK_EQ(apic_wrmsr(0, 0x808, 0x100), (uint64_t)-1);
    CHECK_EQ(apic_wrmsr(0, 0x830, 1 << 20), (uint64_t)-1);
    CHECK_EQ(apic_wrmsr(0, 0x80b, 0), 0);
    CHECK_EQ(apic_wrmsr(0, 0x828, 0), 0);
}

static void x2apic_ids_physical_and_logical(void)
{
    apic_x2(17);
    CHECK_EQ(apic_rdmsr(17, 0x802), 17);
    CHECK_EQ(apic_rdmsr(17, 0x80d), 0x00010002);
    apic_x2(0);
    apic_wrmsr(0, 0x830, 17ull << 32 | 0x41);
    CHECK_EQ(irq_ack(rig, 17), 0x41);
    apic_wrmsr(17, 0x80b, 0);
    apic_wrmsr(0, 0x830, 0x00010002ull << 32 | 0x800 | 0x42);
    CHECK_EQ(irq_ack(rig, 17), 0x42);
    CHECK_EQ(apic_rdmsr(0, 0x830), 0x00010002ull << 32 | 0x842);
}

static void x2apic_broadcast_reaches_all_and_unknown_clusters_none(void)
{
    for (unsigned cpu = 0; cpu < 18; cpu++)
        apic_x2(cpu);
    apic_wrmsr(0, 0x830, 0xffff0001ull << 32 | 0x800 | 0x43);
    for (unsigned cpu = 0; cpu < 18; cpu++)
        CHECK(!irq_pending(rig, cpu));
    apic_wrmsr(0, 0x830, 0xffffffffull << 32 | 0x44);
    for (unsigned cpu = 0; cpu < 18; cpu++)
        CHECK_EQ(irq_ack(rig, cpu), 0x44);
}

static void x2apic_self_ipi(void)
{
    apic_x2(1);
    CHECK_EQ(apic_wrmsr(1, 0x83f, 0x55), 0);
    CHECK_EQ(irq_ack(rig, 1), 0x55);
    CHECK_EQ(apic_wrmsr(1, 0x83f, 0x155), (uint64_t)-1);
}

static void xapic_flat_and_cluster_destinations(void)
{
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        apic_enable(cpu);
        apic_write(cpu, LDR, 1u << (24 + cpu));
    }
    apic_write(0, ICR2, 0x0a << 24);
    apic_write(0, ICR, 0x800 | 0x41);
    CHECK(!irq_pending(rig, 0) && irq_pending(rig, 1) && !irq_pending(rig, 2) && irq_pending(rig, 3));
    CHECK_EQ(irq_ack(rig, 1), 0x41);
    apic_write(2, DFR, 0);
    apic_write(2, LDR, 0x21u << 24);
    apic_write(0, ICR2, 0x23u << 24);
    apic_write(0, ICR, 0x800 | 0x42);
    CHECK_EQ(irq_ack(rig, 2), 0x42);
}

static void lowest_priority_takes_the_first_that_accepts(void)
{
    for (unsigned cpu = 1; cpu < 4; cpu++) {
        apic_enable(cpu);
        apic_write(cpu, LDR, 1u << (24 + cpu));
    }
    apic_write(0, LDR, 1u << 24);
    apic_write(1, ICR2, 0x0f << 24);
    apic_write(1, ICR, 0x900 | 0x41);
    CHECK(!irq_pending(rig, 0) && irq_pending(rig, 1) && !irq_pending(rig, 2) && !irq_pending(rig, 3));
}

static void seabios_starts_all_others(void)
{
    apic_write(0, SVR, 0x1ff);
    apic_write(0, LVT0, 0x8700);
    apic_write(0, LVT1, 0x8400);
    apic_write(0, ICR, 0x000c4500);
    apic_write(0, ICR, 0x000c4600 | 0x10);
    CHECK_EQ(apic_read(0, ICR) & 0x1000, 0);
    CHECK_EQ(cpu_log.inits[0] + cpu_log.sipis[0], 0);
    CHECK_EQ(cpu_log.inits[1], 1);
    CHECK_EQ(cpu_log.sipis[3], 1);
    CHECK_EQ(cpu_log.sipi_vector[3], 0x10);
    apic_write(0, ESR, 0);
    CHECK_EQ(apic_read(0, ESR), 0);
}

static void init_deassert_is_ignored_and_init_resets_registers(void)
{
    apic_enable(1);
    apic_write(1, TPR, 0x20);
    apic_write(0, ICR2, 1 << 24);
    apic_write(0, ICR, 0x8500);
    CHECK_EQ(cpu_log.inits[1], 0);
    apic_write(0, ICR, 0xc500);
    CHECK_EQ(cpu_log.inits[1], 1);
    CHECK_EQ(apic_read(1, SVR), 0xff);
    CHECK_EQ(apic_read(1, TPR), 0);
    CHECK_EQ(apic_read(1, 0x20), 1u << 24);
}

static void absent_destination_is_accepted_silently(void)
{
    apic_enable(0);
    apic_write(0, ICR2, 0x63u << 24);
    apic_write(0, ICR, 0x41);
    apic_write(0, ESR, 0);
    CHECK_EQ(apic_read(0, ESR), 0);
    CHECK(!irq_pending(rig, 0));
}

static void lint1_is_an_nmi_on_its_rising_edge(void)
{
    apic_enable(0);
    apic_write(0, LVT1, 0x400);
    lapic_lint(apic(0), 1, true);
    lapic_lint(apic(0), 1, true);
    CHECK_EQ(cpu_log.nmis[0], 1);
    lapic_lint(apic(0), 1, false);
    lapic_lint(apic(0), 1, true);
    CHECK_EQ(cpu_log.nmis[0], 2);
}

static void disabled_apic_takes_nothing_and_comes_back_reset(void)
{
    apic_enable(1);
    apic_write(0, ICR2, 1 << 24);
    apic_write(0, ICR, 0x41);
    CHECK(irq_pending(rig, 1));
    apic_wrmsr(1, MSR_APIC_BASE, 0xfee00000);
    CHECK(!irq_pending(rig, 1));
    CHECK_EQ(apic_read(1, 0x30), 0xffffffff);
    apic_write(0, ICR, 0xc500);
    CHECK_EQ(cpu_log.inits[1], 0);
    apic_wrmsr(1, MSR_APIC_BASE, 0xfee00800);
    CHECK_EQ(apic_read(1, SVR), 0xff);
}

static void restored_timer_fires_at_the_same_time(void)
{
    apic_enable(2);
    apic_write(2, LVTT, 0x20030);
    apic_write(2, TDCR, 0xb);
    apic_write(2, TMICT, 50000);
    rig_advance(30000);
    chipset_reborn();
    CHECK_EQ(apic_read(2, TMCCT), 20000);
    rig_advance(19999);
    CHECK(!irq_pending(rig, 2));
    rig_advance(1);
    CHECK_EQ(irq_ack(rig, 2), 0x30);
}

int main(void)
{
    RUN_ON(18, powers_up_enabled_at_its_default_base);
    RUN_ON(18, id_and_version_are_read_only);
    RUN_ON(18, odd_widths_and_offsets_do_nothing);
    RUN_ON(18, unknown_register_sets_esr_bit_7);
    RUN_ON(18, self_ipi_waits_for_ack_and_eoi);
    RUN_ON(18, higher_class_interrupts_lower_and_same_class_waits);
    RUN_ON(18, task_priority_masks_its_class_and_below);
    RUN_ON(18, ack_after_the_request_was_masked_is_spurious);
    RUN_ON(18, software_disabled_apic_masks_lvts_and_drops_fixed_ipis);
    RUN_ON(18, illegal_vectors_are_errors_at_sender_and_receiver);
    RUN_ON(18, one_shot_timer_fires_once_at_its_nanosecond);
    RUN_ON(18, every_divide_code_divides);
    RUN_ON(18, divide_change_keeps_the_count);
    RUN_ON(18, periodic_timer_does_not_drift_and_coalesces);
    RUN_ON(18, tiny_periods_are_stretched);
    RUN_ON(18, masked_timer_counts_without_interrupt_or_deadline);
    RUN_ON(18, periodic_to_one_shot_ends_at_zero);
    RUN_ON(18, tsc_deadline_fires_at_the_tsc_and_reads_zero_after);
    RUN_ON(18, tsc_deadline_in_the_past_fires_at_once);
    RUN_ON(18, tsc_deadline_zero_or_mode_change_disarms);
    RUN_ON(18, tsc_deadline_follows_the_tsc_offset_and_never_wraps);
    RUN_ON(18, x2apic_is_entered_from_xapic_only);
    RUN_ON(18, base_reserved_bits_fault_and_base_moves);
    RUN_ON(18, x2apic_faults_where_the_manual_says);
    RUN_ON(18, x2apic_ids_physical_and_logical);
    RUN_ON(18, x2apic_broadcast_reaches_all_and_unknown_clusters_none);
    RUN_ON(18, x2apic_self_ipi);
    RUN_ON(18, xapic_flat_and_cluster_destinations);
    RUN_ON(18, lowest_priority_takes_the_first_that_accepts);
    RUN_ON(18, seabios_starts_all_others);
    RUN_ON(18, init_deassert_is_ignored_and_init_resets_registers);
    RUN_ON(18, absent_destination_is_accepted_silently);
    RUN_ON(18, lint1_is_an_nmi_on_its_rising_edge);
    RUN_ON(18, disabled_apic_takes_nothing_and_comes_back_reset);
    RUN_ON(18, restored_timer_fires_at_the_same_time);
    return check_done();
}
