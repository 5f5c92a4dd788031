/* Proves that the clock chip keeps the calendar, its three interrupts and the CMOS bytes firmware reads. */
#include "check.h"
#include "rig.h"

#include "dev/calendar.h"

static uint8_t cmos(uint8_t index)
{
    out8(0x70, index);
    return in8(0x71);
}

static void set_cmos(uint8_t index, uint8_t value)
{
    out8(0x70, index);
    out8(0x71, value);
}

static void check_date(uint32_t yyyymmdd, uint32_t hhmmss)
{
    CHECK_EQ(cmos(0x32) << 24 | cmos(9) << 16 | cmos(8) << 8 | cmos(7), yyyymmdd);
    CHECK_EQ(cmos(4) << 16 | cmos(2) << 8 | cmos(0), hhmmss);
}

/* As Linux sets it: hold the clock and the divider, write, let go. */
static void set_date(uint32_t yyyymmdd, uint32_t hhmmss)
{
    set_cmos(0x0b, 0x82);
    set_cmos(0x0a, 0x76);
    set_cmos(0x32, (uint8_t)(yyyymmdd >> 24)), set_cmos(9, (uint8_t)(yyyymmdd >> 16));
    set_cmos(8, (uint8_t)(yyyymmdd >> 8)), set_cmos(7, (uint8_t)yyyymmdd);
    set_cmos(4, (uint8_t)(hhmmss >> 16)), set_cmos(2, (uint8_t)(hhmmss >> 8)), set_cmos(0, (uint8_t)hhmmss);
    set_cmos(0x0b, 0x02);
    set_cmos(0x0a, 0x26);
}

static void shows_the_configured_epoch(void)
{
    rig_begin();
    check_date(0x20000101, 0x000000);
    CHECK_EQ(cmos(6), 7);
    rig_advance(90061 * SECOND);
    check_date(0x20000102, 0x010101);
    rig_end();
}

static void leap_day_follows_28_february(void)
{
    rig_begin();
    set_date(0x20240228, 0x235959);
    rig_advance(SECOND);
    check_date(0x20240229, 0x000000);
    CHECK_EQ(cmos(6), 5);
    rig_end();
}

static void century_turns(void)
{
    rig_begin();
    set_date(0x20991231, 0x235959);
    rig_advance(SECOND);
    check_date(0x21000101, 0x000000);
    rig_end();
}

static void released_divider_ends_its_first_second_after_half(void)
{
    rig_begin();
    rig_advance(123 * MS);
    set_date(0x20240101, 0x000000);
    rig_advance(SECOND / 2 - 1);
    CHECK_EQ(cmos(0), 0x00);
    rig_advance(1);
    CHECK_EQ(cmos(0), 0x01);
    rig_end();
}

static void held_clock_reads_back_what_was_written(void)
{
    rig_begin();
    set_cmos(0x0b, 0x82);
    set_cmos(0, 0x37);
    rig_advance(5 * SECOND);
    CHECK_EQ(cmos(0), 0x37);
    CHECK_EQ(cmos(0x0a) & 0x80, 0);
    rig_end();
}

static void impossible_date_is_carried_over(void)
{
    rig_begin();
    set_date(0x20230230, 0x996099);
    CHECK_EQ(cmos(8), 0x03);
    CHECK(cmos(7) <= 0x31 && cmos(4) <= 0x23 && cmos(2) <= 0x59 && cmos(0) <= 0x59);
    rig_end();
}

static void twelve_hour_binary_format(void)
{
    rig_begin();
    rig_advance(13 * 3600 * SECOND + 45 * 60 * SECOND);
    set_cmos(0x0b, 0x04);
    CHECK_EQ(cmos(4), 0x81);
    CHECK_EQ(cmos(2), 45);
    set_cmos(0x0b, 0x02); /* back again: changing the format alone does not change the time */
    CHECK_EQ(cmos(4), 0x13);
    rig_end();
}

static void midnight_is_12_am(void)
{
    rig_begin();
    set_cmos(0x0b, 0x00);
    CHECK_EQ(cmos(4), 0x12);
    rig_advance(12 * 3600 * SECOND);
    CHECK_EQ(cmos(4), 0x92);
    rig_end();
}

static void update_is_announced_244_us_ahead(void)
{
    rig_begin();
    rig_advance(SECOND - 244001);
    CHECK_EQ(cmos(0x0a), 0x26);
    rig_advance(1);
    CHECK_EQ(cmos(0x0a), 0xa6);
    rig_advance(244000);
    CHECK_EQ(cmos(0x0a), 0x26);
    CHECK_EQ(cmos(0), 0x01);
    rig_end();
}

static void periodic_interrupt_runs_at_its_rate(void)
{
    rig_begin();
    set_cmos(0x0b, 0x42); /* rate 6: 1024 Hz */
    unsigned interrupts = 0;
    while (rig->deadline <= SECOND) {
        rig_advance(rig->deadline - board_now(rig));
        CHECK(rig_line(8));
        CHECK_EQ(cmos(0x0c) & 0xc0, 0xc0);
        interrupts++;
    }
    CHECK_EQ(interrupts, 1024);
    rig_end();
}

static void interrupt_line_stays_up_until_c_is_read(void)
{
    rig_begin();
    set_cmos(0x0b, 0x12);
    rig_advance(SECOND);
    CHECK(rig_line(8));
    CHECK_EQ(rig->deadline, DEV_NEVER);
    CHECK_EQ(cmos(0x0c) & 0x90, 0x90);
    CHECK(!rig_line(8));
    CHECK_EQ(rig->deadline, 2 * SECOND);
    rig_end();
}

static void flags_are_set_without_being_enabled(void)
{
    rig_begin();
    rig_advance(2 * SECOND);
    CHECK_EQ(cmos(0x0c), 0x50);
    CHECK_EQ(cmos(0x0c), 0x00);
    rig_advance(2 * SECOND);
    CHECK(!rig_line(8));
    set_cmos(0x0b, 0x12); /* enabling a flag that waits interrupts at once */
    CHECK(rig_line(8));
    rig_end();
}

static void alarm_rings_at_its_time(void)
{
    rig_begin();
    set_cmos(1, 0x30), set_cmos(3, 0x15), set_cmos(5, 0x06);
    set_cmos(0x0b, 0x22);
    CHECK_EQ(rig->deadline, (6 * 3600 + 15 * 60 + 30) * SECOND);
    rig_advance(rig->deadline);
    CHECK(rig_line(8));
    CHECK_EQ(cmos(0x0c) & 0xa0, 0xa0);
    CHECK_EQ(rig->deadline, (86400 + 6 * 3600 + 15 * 60 + 30) * SECOND);
    rig_end();
}

static void alarm_with_wild_cards_rings_every_minute(void)
{
    rig_begin();
    set_cmos(1, 0x10), set_cmos(3, 0xc0), set_cmos(5, 0xff);
    set_cmos(0x0b, 0x22);
    CHECK_EQ(rig->deadline, 10 * SECOND);
    rig_advance(10 * SECOND);
    cmos(0x0c);
    CHECK_EQ(rig->deadline, 70 * SECOND);
    rig_end();
}

static void impossible_alarm_never_rings(void)
{
    rig_begin();
    set_cmos(1, 0x7a), set_cmos(3, 0xc0), set_cmos(5, 0xc0);
    set_cmos(0x0b, 0x22);
    CHECK_EQ(rig->deadline, DEV_NEVER);
    rig_end();
}

static void memory_size_and_cpu_count_for_seabios(void)
{
    rig = rig_create(256 << 20, 4, 0);
    CHECK_EQ(cmos(0x16) << 8 | cmos(0x15), 640);
    CHECK_EQ(cmos(0x18) << 8 | cmos(0x17), 65535);
    CHECK_EQ(cmos(0x31) << 8 | cmos(0x30), 65535);
    CHECK_EQ(cmos(0x35) << 8 | cmos(0x34), 240 * 16);
    CHECK_EQ(cmos(0x5d) << 16 | cmos(0x5c) << 8 | cmos(0x5b), 0);
    CHECK_EQ(cmos(0x5f), 3);
    CHECK_EQ(cmos(0x0d), 0x80);
    rig_end();
}

static void checksum_covers_its_bytes(void)
{
    rig_begin();
    unsigned sum = 0;
    for (uint8_t i = 0x10; i < 0x2e; i++)
        sum += cmos(i);
    CHECK_EQ(cmos(0x2e) << 8 | cmos(0x2f), sum);
    rig_end();
}

static void reset_keeps_time_and_bytes_but_no_interrupt(void)
{
    rig_begin();
    set_cmos(0x0f, 0x0a);
    set_cmos(0x0b, 0x42);
    rig_advance(10 * SECOND);
    board_reset(rig);
    CHECK(!rig_line(8));
    CHECK_EQ(cmos(0x0f), 0x0a);
    CHECK_EQ(cmos(0x0b), 0x02);
    CHECK_EQ(cmos(0), 0x10);
    rig_end();
}

static void word_write_sets_index_and_data(void)
{
    rig_begin();
    bus_port_write(rig, 0x70, 2, 0x5af0); /* index bit 7 is the NMI mask */
    CHECK_EQ(cmos(0x70), 0x5a);
    CHECK_EQ(in8(0x70), 0xff);
    rig_end();
}

static void calendar_round_trips(void)
{
    for (int64_t day = -800000; day < 3000000; day += 97) {
        struct calendar c = calendar_of(day * 86400 + 12345);
        CHECK_EQ(calendar_seconds(&c), day * 86400 + 12345);
        CHECK(c.month >= 1 && c.month <= 12 && c.day >= 1 && c.day <= 31);
    }
}

int main(void)
{
    RUN(shows_the_configured_epoch);
    RUN(leap_day_follows_28_february);
    RUN(century_turns);
    RUN(released_divider_ends_its_first_second_after_half);
    RUN(held_clock_reads_back_what_was_written);
    RUN(impossible_date_is_carried_over);
    RUN(twelve_hour_binary_format);
    RUN(midnight_is_12_am);
    RUN(update_is_announced_244_us_ahead);
    RUN(periodic_interrupt_runs_at_its_rate);
    RUN(interrupt_line_stays_up_until_c_is_read);
    RUN(flags_are_set_without_being_enabled);
    RUN(alarm_rings_at_its_time);
    RUN(alarm_with_wild_cards_rings_every_minute);
    RUN(impossible_alarm_never_rings);
    RUN(memory_size_and_cpu_count_for_seabios);
    RUN(checksum_covers_its_bytes);
    RUN(reset_keeps_time_and_bytes_but_no_interrupt);
    RUN(word_write_sets_index_and_data);
    RUN(calendar_round_trips);
    return check_done();
}
