/* Proves that the 8254 counts, latches and interrupts exactly on its crystal, as SeaBIOS, Linux and
 * memtest86+ use it. */
#include "check.h"
#include "rig.h"

#include "dev/pit.h"
#include "dev/ticks.h"

static uint64_t tick_ns(uint64_t ticks) { return ns_of_tick(ticks, PIT_HZ); }

/* To the first nanosecond of tick n, counted from power-on. */
static void to_tick(uint64_t n) { rig_advance(tick_ns(n) - board_now(rig)); }

static void program(unsigned channel, uint8_t mode, uint16_t count)
{
    out8(0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
    out8((uint16_t)(0x40 + channel), (uint8_t)count);
    out8((uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static uint16_t read_latched(unsigned channel)
{
    out8(0x43, (uint8_t)(channel << 6));
    uint8_t low = in8((uint16_t)(0x40 + channel));
    return (uint16_t)(low | in8((uint16_t)(0x40 + channel)) << 8);
}

static uint8_t read_status(unsigned channel)
{
    out8(0x43, (uint8_t)(0xe0 | 2u << channel));
    return in8((uint16_t)(0x40 + channel));
}

static void linux_calibration_sees_channel_2_count_down(void)
{
    rig_begin();
    out8(0x61, (in8(0x61) & ~2) | 1);
    program(2, 0, 0xffff);
    to_tick(1 + 0x100);
    CHECK_EQ(read_latched(2), 0xffff - 0x100);
    CHECK(!(in8(0x61) & 0x20));
    rig_end();
}

static void memtest_waits_50_ms_on_channel_2(void)
{
    rig_begin();
    out8(0x61, 0x01);
    program(2, 0, 59659);
    to_tick(59659); /* the count is loaded one clock after it was written */
    CHECK(!(in8(0x61) & 0x20));
    to_tick(59660);
    CHECK(in8(0x61) & 0x20);
    rig_end();
}

static void closed_gate_stops_mode_0(void)
{
    rig_begin();
    out8(0x61, 0x00);
    program(2, 0, 100);
    to_tick(1000);
    CHECK_EQ(read_latched(2), 100);
    out8(0x61, 0x01);
    to_tick(1010);
    out8(0x61, 0x00);
    to_tick(5000);
    CHECK_EQ(read_latched(2), 90);
    rig_end();
}

static void gate_rise_starts_the_one_shot(void)
{
    rig_begin();
    out8(0x61, 0x00);
    program(2, 1, 50);
    to_tick(500);
    CHECK(in8(0x61) & 0x20);
    out8(0x61, 0x01);
    to_tick(501);
    CHECK(!(in8(0x61) & 0x20));
    to_tick(551);
    CHECK(in8(0x61) & 0x20);
    rig_end();
}

static void channel_0_interrupts_18_times_a_second(void)
{
    rig_begin();
    rig_init_pic(1);
    program(0, 2, 0);
    unsigned interrupts = 0;
    while (board_now(rig) < SECOND) {
        rig_advance(rig->deadline - board_now(rig));
        if (irq_pending(rig, 0)) {
            irq_ack(rig, 0);
            out8(0x20, 0x20);
            interrupts++;
        }
    }
    CHECK_EQ(interrupts, 19); /* 1193182 / 65536 = 18.2, and the last one lies past the second */
    rig_end();
}

static void periods_do_not_drift(void)
{
    rig_begin();
    program(0, 2, 1193);
    uint64_t start = 1;
    rig_advance(60 * SECOND);
    uint64_t periods = (ticks_at(board_now(rig), PIT_HZ) - start) / 1193 + 1;
    CHECK_EQ(rig->deadline, tick_ns(start + periods * 1193));
    rig_end();
}

static void one_shot_interrupts_once(void)
{
    rig_begin();
    program(0, 0, 1000);
    CHECK(!rig_line(0));
    CHECK_EQ(rig->deadline, tick_ns(1001));
    to_tick(1001);
    CHECK(rig_line(0));
    CHECK_EQ(rig->deadline, DEV_NEVER);
    rig_end();
}

static void software_strobe_interrupts_after_its_count(void)
{
    rig_begin();
    program(0, 4, 1000);
    to_tick(1001);
    CHECK_EQ(read_status(0) & 0x80, 0);
    to_tick(1002);
    CHECK(read_status(0) & 0x80);
    CHECK_EQ(rig->deadline, DEV_NEVER);
    rig_end();
}

static void square_wave_counts_by_two(void)
{
    rig_begin();
    program(0, 3, 100);
    to_tick(1 + 10);
    CHECK_EQ(read_latched(0), 80);
    CHECK(read_status(0) & 0x80);
    to_tick(1 + 60);
    CHECK_EQ(read_latched(0), 80);
    CHECK_EQ(read_status(0) & 0x80, 0);
    rig_end();
}

static void odd_square_wave_is_high_one_tick_longer(void)
{
    rig_begin();
    program(0, 3, 5);
    to_tick(1 + 2);
    CHECK(read_status(0) & 0x80);
    to_tick(1 + 3);
    CHECK_EQ(read_status(0) & 0x80, 0);
    to_tick(1 + 5);
    CHECK(read_status(0) & 0x80);
    rig_end();
}

static void periodic_count_changes_at_the_end_of_its_period(void)
{
    rig_begin();
    program(0, 2, 1000);
    to_tick(500);
    out8(0x40, 0xf4), out8(0x40, 0x01);
    CHECK_EQ(rig->deadline, tick_ns(1001));
    CHECK(read_status(0) & 0x40);
    to_tick(1001);
    CHECK_EQ(rig->deadline, tick_ns(1501));
    CHECK_EQ(read_status(0) & 0x40, 0);
    rig_end();
}

static void second_latch_is_ignored_until_the_first_is_read(void)
{
    rig_begin();
    program(0, 2, 1000);
    to_tick(101);
    out8(0x43, 0x00);
    to_tick(201);
    out8(0x43, 0x00);
    CHECK_EQ(in8(0x40), 900 & 0xff);
    CHECK_EQ(in8(0x40), 900 >> 8);
    rig_end();
}

static void status_comes_before_the_latched_count(void)
{
    rig_begin();
    program(0, 2, 1000);
    to_tick(11);
    out8(0x43, 0xc2); /* read-back: count and status of channel 0 */
    CHECK_EQ(in8(0x40), 0x80 | 0x30 | 2 << 1);
    CHECK_EQ(in8(0x40), 990 & 0xff);
    CHECK_EQ(in8(0x40), 990 >> 8);
    rig_end();
}

static void bcd_counts_in_decimal(void)
{
    rig_begin();
    out8(0x61, 0x01);
    out8(0x43, 0xb1);
    out8(0x42, 0x00), out8(0x42, 0x10);
    to_tick(2);
    CHECK_EQ(read_latched(2), 0x0999);
    to_tick(1 + 1001);
    CHECK_EQ(read_latched(2), 0x9999); /* past zero */
    rig_end();
}

static void half_written_mode_0_count_stands(void)
{
    rig_begin();
    program(0, 0, 100);
    to_tick(200);
    CHECK(rig_line(0));
    out8(0x40, 0x10);
    to_tick(5000);
    CHECK_EQ(read_status(0) & 0xc0, 0x40);
    rig_end();
}

static void forbidden_count_of_1_never_interrupts(void)
{
    rig_begin();
    program(0, 2, 1);
    CHECK_EQ(rig->deadline, DEV_NEVER);
    program(0, 3, 1);
    CHECK_EQ(rig->deadline, DEV_NEVER);
    rig_end();
}

static void control_port_reads_zero(void)
{
    rig_begin();
    CHECK_EQ(in8(0x43), 0);
    rig_end();
}

static void refresh_bit_toggles_every_15_us(void)
{
    rig_begin();
    uint8_t before = in8(0x61) & 0x10;
    to_tick(18);
    CHECK_EQ(in8(0x61) & 0x10, before ^ 0x10);
    to_tick(36);
    CHECK_EQ(in8(0x61) & 0x10, before);
    rig_end();
}

static void port_b_keeps_its_low_bits(void)
{
    rig_begin();
    out8(0x61, 0xff);
    CHECK_EQ(in8(0x61) & 0xcf, 0x0f);
    rig_end();
}

int main(void)
{
    RUN(linux_calibration_sees_channel_2_count_down);
    RUN(memtest_waits_50_ms_on_channel_2);
    RUN(closed_gate_stops_mode_0);
    RUN(gate_rise_starts_the_one_shot);
    RUN(channel_0_interrupts_18_times_a_second);
    RUN(periods_do_not_drift);
    RUN(one_shot_interrupts_once);
    RUN(software_strobe_interrupts_after_its_count);
    RUN(square_wave_counts_by_two);
    RUN(odd_square_wave_is_high_one_tick_longer);
    RUN(periodic_count_changes_at_the_end_of_its_period);
    RUN(second_latch_is_ignored_until_the_first_is_read);
    RUN(status_comes_before_the_latched_count);
    RUN(bcd_counts_in_decimal);
    RUN(half_written_mode_0_count_stands);
    RUN(forbidden_count_of_1_never_interrupts);
    RUN(control_port_reads_zero);
    RUN(refresh_bit_toggles_every_15_us);
    RUN(port_b_keeps_its_low_bits);
    return check_done();
}
