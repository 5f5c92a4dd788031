/* Proves that the HPET counts, compares and takes over the legacy lines as Linux and Xen set it up. */
#include "check.h"
#include "rig.h"

#define HPET 0xfed00000ull
#define TIMER(n) (HPET + 0x100 + 0x20 * (n))

static uint64_t read64(uint64_t gpa) { return bus_mmio_read(rig, gpa, 8); }
static uint32_t read32(uint64_t gpa) { return (uint32_t)bus_mmio_read(rig, gpa, 4); }
static void write64(uint64_t gpa, uint64_t value) { bus_mmio_write(rig, gpa, 8, value); }
static void write32(uint64_t gpa, uint32_t value) { bus_mmio_write(rig, gpa, 4, value); }

static void capabilities_match_the_acpi_table(void)
{
    rig_begin();
    CHECK_EQ(read32(HPET), 0x8086a201);
    CHECK_EQ(read32(HPET + 4), 10000000);
    CHECK_EQ(read32(TIMER(0)) & 0x30, 0x30);
    CHECK_EQ(read32(TIMER(0) + 4), 0x00ff0000);
    rig_end();
}

static void counter_runs_only_when_enabled(void)
{
    rig_begin();
    rig_advance(1000);
    CHECK_EQ(read64(HPET + 0xf0), 0);
    write32(HPET + 0x10, 1);
    rig_advance(1000);
    CHECK_EQ(read64(HPET + 0xf0), 100);
    write32(HPET + 0x10, 0);
    rig_advance(1000);
    CHECK_EQ(read64(HPET + 0xf0), 100);
    rig_end();
}

static void counter_is_written_while_halted(void)
{
    rig_begin();
    write32(HPET + 0xf4, 1);
    write32(HPET + 0xf0, 5);
    write32(HPET + 0x10, 1);
    write64(HPET + 0xf0, 0);
    CHECK_EQ(read64(HPET + 0xf0), 0x100000005);
    rig_end();
}

/* As Linux starts its tick in legacy replacement mode: period through two writes of the comparator. */
static void linux_periodic_tick_on_gsi_0(void)
{
    rig_begin();
    write32(HPET + 0x10, 3);
    write32(TIMER(0), 0x14c);
    write32(TIMER(0) + 8, 50000);
    write32(TIMER(0) + 8, 100000);
    unsigned ticks = 0;
    rig_init_pic(1);
    while (rig->deadline <= 100 * MS) {
        rig_advance(rig->deadline - board_now(rig));
        CHECK_EQ(irq_ack(rig, 0), 0x20);
        out8(0x20, 0x20);
        ticks++;
    }
    CHECK_EQ(ticks, 100); /* at 0.5, 1.5, … 99.5 ms */
    rig_end();
}

static void one_shot_fires_once(void)
{
    rig_begin();
    write32(HPET + 0x10, 3);
    write64(TIMER(0) + 8, 1000);
    write32(TIMER(0), 0x004);
    CHECK_EQ(rig->deadline, 10000);
    rig_advance(10000);
    CHECK(rig_line(0));
    CHECK_EQ(rig->deadline, DEV_NEVER);
    rig_end();
}

static void comparator_of_32_bits_matches_again_after_the_wrap(void)
{
    rig_begin();
    write32(HPET + 0x10, 3);
    write32(TIMER(0), 0x104);
    write32(TIMER(0) + 8, 1000);
    rig_advance(10000);
    CHECK_EQ(rig->deadline, 10000 + (1ull << 32) * 10);
    rig_end();
}

static void missed_periods_make_one_interrupt(void)
{
    rig_begin();
    write32(HPET + 0x10, 3);
    write32(TIMER(0), 0x4c);
    write64(TIMER(0) + 8, 1000);
    clock_skip_to(&rig->clock, 1000000);
    board_run_due(rig);
    CHECK_EQ(read64(TIMER(0) + 8), 101000);
    CHECK_EQ(rig->deadline, 1010000);
    rig_end();
}

static void period_zero_does_not_loop(void)
{
    rig_begin();
    write32(HPET + 0x10, 3);
    write32(TIMER(0), 0x4c);
    write64(TIMER(0) + 8, 0);
    rig_advance(SECOND);
    CHECK(rig->deadline > SECOND);
    rig_end();
}

static void shortest_period_is_limited(void)
{
    rig_begin();
    write32(HPET + 0x10, 3);
    write32(TIMER(0), 0x4c);
    write64(TIMER(0) + 8, 1);
    CHECK_EQ(rig->deadline, 1000);
    rig_end();
}

static void level_interrupt_holds_until_its_status_is_cleared(void)
{
    rig_begin();
    write32(HPET + 0x10, 1);
    write32(TIMER(2), 20 << 9 | 0x006);
    CHECK_EQ(read32(TIMER(2)) >> 9 & 31, 20);
    write64(TIMER(2) + 8, 500);
    rig_advance(5000);
    CHECK(rig_line(20));
    CHECK_EQ(read32(HPET + 0x20), 4);
    write32(HPET + 0x20, 4);
    CHECK(!rig_line(20));
    rig_end();
}

static void route_that_is_not_offered_is_not_taken(void)
{
    rig_begin();
    write32(TIMER(1), 17 << 9);
    write32(TIMER(1), 5 << 9);
    CHECK_EQ(read32(TIMER(1)) >> 9 & 31, 17);
    rig_end();
}

static void legacy_mode_silences_the_pit_and_the_rtc(void)
{
    rig_begin();
    out8(0x43, 0x34), out8(0x40, 0x10), out8(0x40, 0x27);
    out8(0x70, 0x0b), out8(0x71, 0x42);
    write32(HPET + 0x10, 3);
    CHECK(!rig_line(0));
    rig_advance(100 * MS);
    CHECK(!rig_line(0) && !rig_line(8));
    write32(HPET + 0x10, 1);
    CHECK(rig_line(8)); /* the RTC's flag has been waiting */
    CHECK(rig->deadline < board_now(rig) + 10 * MS);
    rig_end();
}

static void odd_accesses_do_nothing(void)
{
    rig_begin();
    bus_mmio_write(rig, HPET + 0x10, 1, 1);
    bus_mmio_write(rig, HPET + 0x12, 4, 0xffffffff);
    CHECK_EQ(read32(HPET + 0x10), 0);
    CHECK_EQ(bus_mmio_read(rig, HPET + 1, 2), 0);
    CHECK_EQ(read64(HPET + 0x3f8), 0);
    rig_end();
}

int main(void)
{
    RUN(capabilities_match_the_acpi_table);
    RUN(counter_runs_only_when_enabled);
    RUN(counter_is_written_while_halted);
    RUN(linux_periodic_tick_on_gsi_0);
    RUN(one_shot_fires_once);
    RUN(comparator_of_32_bits_matches_again_after_the_wrap);
    RUN(missed_periods_make_one_interrupt);
    RUN(period_zero_does_not_loop);
    RUN(shortest_period_is_limited);
    RUN(level_interrupt_holds_until_its_status_is_cleared);
    RUN(route_that_is_not_offered_is_not_taken);
    RUN(legacy_mode_silences_the_pit_and_the_rtc);
    RUN(odd_accesses_do_nothing);
    return check_done();
}
