/* The MC146818 real-time clock and its 128 bytes of CMOS RAM, at ports 0x70 and 0x71.
 *
 * Follows Motorola's MC146818A data sheet. Time is not counted but computed: a second begins whenever VM time
 * is `phase` modulo 10^9, and the date shown is the number of those boundaries plus `offset`. While the guest
 * holds the clock (SET, or the divider in reset) the bytes in `cmos` are the date. Flags in register C are
 * caught up to `seen` on every access, so only an enabled interrupt whose flag is still clear costs a
 * deadline.
 *
 * Left out: daylight saving, the square wave pin, the other crystals (any divider but reset runs at 32768
 * Hz), the second CMOS bank, and NMI masking by bit 7 of port 0x70. The day of the week always follows the
 * date. A date out of range is carried over when the clock starts again. */
#include "dev/rtc.h"

#include <string.h>

#include "core/board.h"
#include "dev/calendar.h"
#include "dev/port8.h"
#include "dev/rtc_regs.h"
#include "dev/ticks.h"

#define RTC_HZ 32768ull
#define UIP_NS 244000ull /* an update in progress is announced this long before the second changes */
#define DAY_SECONDS 86400
#define LAST_YEAR_SECONDS 253402300799ll /* 9999-12-31 23:59:59 */
#define OFFSET_MAX (1ll << 40) /* a guest can write no date this far away: binary years end at 25755 */
#define CMOS_SIZE 128

struct rtc {
    int64_t offset;   /* seconds since 1970 = boundaries + offset */
    uint64_t seen;    /* VM ns up to which register C is right */
    uint32_t phase;   /* 0 to 999999999 */
    uint8_t index;
    uint8_t irq_off;  /* HPET legacy replacement */
    uint8_t reserved[2];
    uint8_t cmos[CMOS_SIZE];
};

static const struct state_field rtc_fields[] = {
    FIELD(struct rtc, offset, int64_t),  FIELD(struct rtc, seen, uint64_t),
    FIELD(struct rtc, phase, uint32_t),  FIELD(struct rtc, index, uint8_t),
    FIELD(struct rtc, irq_off, uint8_t), FIELD(struct rtc, reserved, uint8_t),
    FIELD(struct rtc, cmos, uint8_t),
};

/* ---- time ---- */

static bool divider_stopped(const struct rtc *r)
{
    return (r->cmos[RTC_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static bool held(const struct rtc *r)
{
    return (r->cmos[RTC_B] & B_SET) || divider_stopped(r);
}

/* VM time as the divider chain counts it: a second begins at each multiple of 10^9. */
static uint64_t chain_ns(const struct rtc *r, uint64_t now)
{
    return now + NS_PER_SEC - r->phase;
}

static int64_t seconds_at(const struct rtc *r, uint64_t now)
{
    return (int64_t)(chain_ns(r, now) / NS_PER_SEC) + r->offset;
}

static uint8_t encode(const struct rtc *r, int value)
{
    return (uint8_t)(r->cmos[RTC_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static int decode(const struct rtc *r, uint8_t value)
{
    return r->cmos[RTC_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

static uint8_t encode_hour(const struct rtc *r, int hour)
{
    if (r->cmos[RTC_B] & B_24H)
        return encode(r, hour);
    return encode(r, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0);
}

static int decode_hour(const struct rtc *r, uint8_t value)
{
    if (r->cmos[RTC_B] & B_24H)
        return decode(r, value);
    return decode(r, value & (uint8_t)~HOUR_PM) % 12 + (value & HOUR_PM ? 12 : 0);
}

static void show_date(struct rtc *r, int64_t seconds)
{
    struct calendar c = calendar_of(seconds);
    int year = (int)((c.year % 10000 + 10000) % 10000);

    r->cmos[RTC_SECOND] = encode(r, c.second);
    r->cmos[RTC_MINUTE] = encode(r, c.minute);
    r->cmos[RTC_HOUR] = encode_hour(r, c.hour);
    r->cmos[RTC_WEEKDAY] = encode(r, c.weekday);
    r->cmos[RTC_DAY] = encode(r, c.day);
    r->cmos[RTC_MONTH] = encode(r, c.month);
    r->cmos[RTC_YEAR] = encode(r, year % 100);
    r->cmos[RTC_CENTURY] = encode(r, year / 100);
}

static int64_t shown_seconds(const struct rtc *r)
{
    struct calendar c = {
        .year = decode(r, r->cmos[RTC_CENTURY]) * 100 + decode(r, r->cmos[RTC_YEAR]),
        .month = decode(r, r->cmos[RTC_MONTH]),
        .day = decode(r, r->cmos[RTC_DAY]),
        .hour = decode_hour(r, r->cmos[RTC_HOUR]),
        .minute = decode(r, r->cmos[RTC_MINUTE]),
        .second = decode(r, r->cmos[RTC_SECOND]),
    };
    return calendar_seconds(&c);
}

/* The date bytes as a read finds them now. */
static void refresh(struct rtc *r, uint64_t now)
{
    if (!held(r))
        show_date(r, seconds_at(r, now));
}

/* The clock runs on from the bytes in `cmos`. */
static void start_clock(struct rtc *r, uint64_t now)
{
    r->offset = shown_seconds(r) - (int64_t)(chain_ns(r, now) / NS_PER_SEC);
}

static bool update_in_progress(const struct rtc *r, uint64_t now)
{
    return !held(r) && NS_PER_SEC - chain_ns(r, now) % NS_PER_SEC <= UIP_NS;
}

/* ---- the three flags ---- */

/* Chain ticks between periodic interrupts; 0 = none. */
static uint64_t period_ticks(const struct rtc *r)
{
    unsigned rate = r->cmos[RTC_A] & A_RATE;

    if (rate == 0 || divider_stopped(r))
        return 0;
    return 1ull << (rate < 3 ? rate + 6 : rate - 1);
}

static uint64_t next_periodic(const struct rtc *r, uint64_t now)
{
    uint64_t period = period_ticks(r);

    if (!period)
        return DEV_NEVER;
    uint64_t tick = (ticks_at(chain_ns(r, now), RTC_HZ) / period + 1) * period;
    return ns_of_tick(tick, RTC_HZ) - NS_PER_SEC + r->phase;
}

static uint64_t next_update(const struct rtc *r, uint64_t now)
{
    return held(r) ? DEV_NEVER : now + NS_PER_SEC - chain_ns(r, now) % NS_PER_SEC;
}

static bool alarm_matches(const struct rtc *r, enum rtc_reg alarm, uint8_t value)
{
    return (r->cmos[alarm] & ALARM_ANY) == ALARM_ANY || r->cmos[alarm] == value;
}

static bool alarm_possible(const struct rtc *r)
{
    bool hour = false, minute = false, second = false;

    for (int i = 0; i < 24; i++)
        hour |= alarm_matches(r, RTC_HOUR_ALARM, encode_hour(r, i));
    for (int i = 0; i < 60; i++) {
        minute |= alarm_matches(r, RTC_MINUTE_ALARM, encode(r, i));
        second |= alarm_matches(r, RTC_SECOND_ALARM, encode(r, i));
    }
    return hour && minute && second;
}

/* Seconds until the alarm's next match after the second of day `from`, or 0 if it never matches. Skips
 * whole hours and minutes, so it ends after some hundred steps. */
static int seconds_to_alarm(const struct rtc *r, int from)
{
    int t = from + 1;

    if (!alarm_possible(r))
        return 0;
    while (t <= from + DAY_SECONDS) {
        if (!alarm_matches(r, RTC_HOUR_ALARM, encode_hour(r, t / 3600 % 24)))
            t += 3600 - t % 3600;
        else if (!alarm_matches(r, RTC_MINUTE_ALARM, encode(r, t / 60 % 60)))
            t += 60 - t % 60;
        else if (!alarm_matches(r, RTC_SECOND_ALARM, encode(r, t % 60)))
            t++;
        else
            return t - from;
    }
    return 0;
}

static uint64_t next_alarm(const struct rtc *r, uint64_t now)
{
    if (held(r))
        return DEV_NEVER;
    struct calendar c = calendar_of(seconds_at(r, now));
    int wait = seconds_to_alarm(r, c.hour * 3600 + c.minute * 60 + c.second);
    return wait ? next_update(r, now) + (uint64_t)(wait - 1) * NS_PER_SEC : DEV_NEVER;
}

static const struct {
    uint8_t flag; /* in C; the same bit in B enables its interrupt */
    uint64_t (*next)(const struct rtc *r, uint64_t now);
} sources[] = {
    {C_PF, next_periodic},
    {C_AF, next_alarm},
    {C_UF, next_update},
};

#define SOURCES (sizeof(sources) / sizeof(sources[0]))

static void catch_up(struct rtc *r, uint64_t now)
{
    bool second_passed = next_update(r, r->seen) <= now;

    for (unsigned i = 0; i < SOURCES; i++) {
        uint8_t flag = sources[i].flag;
        if (flag == C_AF && !second_passed)
            continue; /* the search for the alarm is the costly one */
        if (!(r->cmos[RTC_C] & flag) && sources[i].next(r, r->seen) <= now)
            r->cmos[RTC_C] |= flag;
    }
    r->seen = now;
}

static bool irq_level(const struct rtc *r)
{
    return r->cmos[RTC_C] & r->cmos[RTC_B] & (C_PF | C_AF | C_UF);
}

/* ---- registers ---- */

static bool is_date(unsigned index)
{
    return index == RTC_SECOND || index == RTC_MINUTE || index == RTC_HOUR || index == RTC_CENTURY ||
           (index >= RTC_WEEKDAY && index <= RTC_YEAR);
}

static void write_a(struct rtc *r, uint8_t value, uint64_t now)
{
    bool was_held = held(r), was_stopped = divider_stopped(r);

    refresh(r, now);
    r->cmos[RTC_A] = value & (uint8_t)~A_UIP;
    if (was_stopped && !divider_stopped(r))
        r->phase = (uint32_t)((now + NS_PER_SEC / 2) % NS_PER_SEC); /* a second ends in half a second */
    if (was_held && !held(r))
        start_clock(r, now);
}

static void write_b(struct rtc *r, uint8_t value, uint64_t now)
{
    bool was_held = held(r);

    refresh(r, now);
    if (value & B_SET)
        value &= (uint8_t)~B_UIE;
    r->cmos[RTC_B] = value;
    if (was_held && !held(r))
        start_clock(r, now);
}

static void write_date(struct rtc *r, unsigned index, uint8_t value, uint64_t now)
{
    refresh(r, now);
    r->cmos[index] = value;
    if (!held(r))
        start_clock(r, now);
}

static void write_register(struct rtc *r, unsigned index, uint8_t value, uint64_t now)
{
    if (index == RTC_A)
        write_a(r, value, now);
    else if (index == RTC_B)
        write_b(r, value, now);
    else if (is_date(index))
        write_date(r, index, value, now);
    else if (index != RTC_C && index != RTC_D)
        r->cmos[index] = value;
}

static uint8_t read_register(struct rtc *r, unsigned index, uint64_t now)
{
    uint8_t value;

    if (index == RTC_A)
        return r->cmos[RTC_A] | (update_in_progress(r, now) ? A_UIP : 0);
    if (index == RTC_C) {
        value = r->cmos[RTC_C] | (irq_level(r) ? C_IRQF : 0);
        r->cmos[RTC_C] = 0;
        return value;
    }
    if (is_date(index))
        refresh(r, now);
    return r->cmos[index];
}

/* ---- on the bus ---- */

static void drive(struct dev *d)
{
    const struct rtc *r = d->state;

    irq_set(d->board, 8, 0, irq_level(r) && !r->irq_off);
}

static uint8_t rtc_read8(struct dev *d, unsigned region, unsigned off)
{
    struct rtc *r = d->state;
    uint64_t now = board_now(d->board);

    (void)region;
    if (off == 0)
        return 0xff;
    catch_up(r, now);
    uint8_t value = read_register(r, r->index % CMOS_SIZE, now);
    drive(d);
    return value;
}

static void rtc_write8(struct dev *d, unsigned region, unsigned off, uint8_t value)
{
    struct rtc *r = d->state;
    uint64_t now = board_now(d->board);

    (void)region;
    if (off == 0) {
        r->index = value % CMOS_SIZE;
        return;
    }
    catch_up(r, now);
    write_register(r, r->index % CMOS_SIZE, value, now);
    drive(d);
}

static uint64_t rtc_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    return port8_read(d, region, off, size, rtc_read8);
}

static void rtc_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    port8_write(d, region, off, size, value, rtc_write8);
}

void rtc_connect_irq(struct dev *d, bool connected)
{
    struct rtc *r = d->state;

    r->irq_off = !connected;
    drive(d);
    dev_rearm(d);
}

static uint64_t rtc_deadline(struct dev *d)
{
    const struct rtc *r = d->state;
    uint64_t first = DEV_NEVER;

    if (irq_level(r))
        return DEV_NEVER; /* the line stays up until C is read */
    for (unsigned i = 0; i < SOURCES; i++) {
        uint64_t next = r->cmos[RTC_B] & sources[i].flag ? sources[i].next(r, r->seen) : DEV_NEVER;
        if (next < first)
            first = next;
    }
    return first;
}

static void rtc_tick(struct dev *d, uint64_t now)
{
    catch_up(d->state, now);
    drive(d);
}

/* A saved state may hold anything; keep the clock's arithmetic within its types. */
static void rtc_restored(struct dev *d)
{
    struct rtc *r = d->state;

    r->phase %= NS_PER_SEC;
    if (r->offset > OFFSET_MAX || r->offset < -OFFSET_MAX)
        r->offset = 0;
    drive(d);
}

/* ---- power-on ---- */

static void put(struct rtc *r, unsigned index, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        r->cmos[index + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t units_above(uint64_t bytes, uint64_t floor, uint64_t unit, uint64_t max)
{
    uint64_t units = bytes > floor ? (bytes - floor) / unit : 0;

    return units < max ? units : max;
}

static void describe_machine(struct rtc *r, const struct vmk_config *cfg)
{
    uint64_t low = cfg->memory < RAM_LOW_MAX ? cfg->memory : RAM_LOW_MAX;
    unsigned sum = 0;

    put(r, CMOS_EQUIPMENT, 1, 0x02);
    put(r, CMOS_BASE_KIB, 2, 640);
    put(r, CMOS_EXT_KIB, 2, units_above(low, 1 << 20, 1 << 10, 65535));
    put(r, CMOS_EXT_KIB_2, 2, units_above(low, 1 << 20, 1 << 10, 65535));
    put(r, CMOS_HIGH_64K, 2, units_above(low, 16 << 20, 1 << 16, 65535));
    put(r, CMOS_BOOT_ORDER, 1, 0x02);
    put(r, CMOS_ABOVE_4G_64K, 3, units_above(cfg->memory, RAM_LOW_MAX, 1 << 16, 0xffffff));
    put(r, CMOS_CPUS_MINUS_1, 1, cfg->cpus ? cfg->cpus - 1 : 0);
    for (unsigned i = CMOS_FLOPPIES; i < CMOS_CHECKSUM; i++)
        sum += r->cmos[i];
    r->cmos[CMOS_CHECKSUM] = (uint8_t)(sum >> 8);
    r->cmos[CMOS_CHECKSUM + 1] = (uint8_t)sum;
}

/* The battery's side of the chip: what a system reset does not touch. */
static int rtc_init(struct dev *d)
{
    struct rtc *r = d->state;
    uint64_t epoch = d->board->cfg.rtc_epoch;

    memset(r, 0, sizeof(*r));
    r->offset = (epoch < LAST_YEAR_SECONDS ? (int64_t)epoch : LAST_YEAR_SECONDS) - 1;
    r->cmos[RTC_A] = 0x26;
    r->cmos[RTC_B] = B_24H;
    r->cmos[RTC_D] = D_VALID;
    describe_machine(r, &d->board->cfg);
    return bus_claim_ports(d, 0, 0x70, 2);
}

static void rtc_reset(struct dev *d)
{
    struct rtc *r = d->state;

    r->cmos[RTC_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE | B_SQWE);
    r->cmos[RTC_C] = 0;
    r->irq_off = 0;
    r->seen = board_now(d->board);
    drive(d);
}

const struct dev_class rtc_class = {
    .name = "rtc",
    .version = 1,
    .size = sizeof(struct rtc),
    .fields = rtc_fields,
    .nfields = sizeof(rtc_fields) / sizeof(rtc_fields[0]),
    .init = rtc_init,
    .reset = rtc_reset,
    .read = rtc_read,
    .write = rtc_write,
    .deadline = rtc_deadline,
    .tick = rtc_tick,
    .restored = rtc_restored,
};
