/* The high precision event timer: a 100 MHz counter and three comparators at 0xFED00000.
 *
 * Follows Intel's IA-PC HPET specification 1.0a. The counter is computed from VM time; each comparator stores
 * how far of the counter it has already looked at (`seen`), and a match is a pure function of that, the
 * counter and the comparator. Missed periods make one interrupt.
 *
 * Wiring: a timer may be routed to GSI 16 to 23, which nothing else on this board uses. In legacy
 * replacement mode timer 0 takes GSI 0 and timer 1 GSI 8, and the PIT and the RTC are cut off from them.
 * An edge interrupt lowers its line and raises it again, and leaves it up: the 8259A forgets an edge whose
 * line does not stay up until the acknowledge. Left out: interrupt messages (FSB routing); a register is
 * reached by aligned accesses of 4 or 8 bytes only, others read 0 and do nothing, as the specification
 * allows. */
#include "core/board.h"
#include "dev/hpet_regs.h"
#include "dev/pit.h"
#include "dev/rtc.h"

#define HPET_BASE 0xfed00000ull
#define HPET_BYTES 1024
#define TIMERS 3
#define TICK_NS 10
#define MIN_PERIOD_NS 1000 /* a faster periodic timer interrupts this often and drops the rest */
#define IRQ_SOURCE 1

/* Period in fs, vendor Intel, legacy capable, 64 bits, three timers, revision 1. */
#define CAPABILITIES ((TICK_NS * 1000000ull) << 32 | 0x8086a000ull | (TIMERS - 1) << 8 | 1)
#define ROUTE_CAPABILITIES 0x00ff0000ull

struct hpet_timer {
    uint64_t config;
    uint64_t comparator;
    uint64_t period;
    uint64_t seen;    /* counter value up to which matches have been handled */
    uint8_t line;     /* an edge interrupt has raised it */
    uint8_t reserved[7];
};

struct hpet {
    uint64_t config;
    uint64_t status;
    uint64_t counter; /* its value at `since`, or for good while halted */
    uint64_t since;   /* VM ns */
    struct hpet_timer timer[TIMERS];
};

#define TIMER_FIELDS(n)                                                                                      \
    FIELD(struct hpet, timer[n].config, uint64_t), FIELD(struct hpet, timer[n].comparator, uint64_t),        \
    FIELD(struct hpet, timer[n].period, uint64_t), FIELD(struct hpet, timer[n].seen, uint64_t),              \
    FIELD(struct hpet, timer[n].line, uint8_t), FIELD(struct hpet, timer[n].reserved, uint8_t)

static const struct state_field hpet_fields[] = {
    FIELD(struct hpet, config, uint64_t),
    FIELD(struct hpet, status, uint64_t),
    FIELD(struct hpet, counter, uint64_t),
    FIELD(struct hpet, since, uint64_t),
    TIMER_FIELDS(0),
    TIMER_FIELDS(1),
    TIMER_FIELDS(2),
};

/* ---- counter and matches ---- */

static bool running(const struct hpet *h)
{
    return h->config & CONFIG_ENABLE;
}

static uint64_t counter_at(const struct hpet *h, uint64_t now)
{
    return running(h) ? h->counter + (now - h->since) / TICK_NS : h->counter;
}

/* The bits of the counter this timer compares. */
static uint64_t width_mask(const struct hpet_timer *t)
{
    return t->config & TIMER_32BIT ? UINT32_MAX : UINT64_MAX;
}

/* Ticks from `seen` to the next match minus 1: a comparator just reached comes round a whole width later. */
static uint64_t ticks_before_match(const struct hpet_timer *t)
{
    return (t->comparator - t->seen - 1) & width_mask(t);
}

static uint64_t match_deadline(const struct hpet *h, const struct hpet_timer *t)
{
    uint64_t ticks = ticks_before_match(t), done = t->seen - h->counter;

    if (ticks > UINT64_MAX / TICK_NS / 4 || done > UINT64_MAX / TICK_NS / 4)
        return DEV_NEVER; /* centuries away */
    uint64_t due = h->since + (done + ticks + 1) * TICK_NS;
    uint64_t soonest = h->since + done * TICK_NS + MIN_PERIOD_NS;
    return (t->config & TIMER_PERIODIC) && due < soonest ? soonest : due;
}

/* Whether the comparator was met since the last look; a periodic one moves past the counter. */
static bool take_match(struct hpet_timer *t, uint64_t counter)
{
    bool met = counter - t->seen > ticks_before_match(t);
    uint64_t late = (counter - t->comparator) & width_mask(t);

    t->seen = counter;
    if (met && (t->config & TIMER_PERIODIC) && t->period)
        t->comparator = (t->comparator + (late / t->period + 1) * t->period) & width_mask(t);
    return met;
}

/* ---- interrupts ---- */

static bool legacy(const struct hpet *h)
{
    return h->config & CONFIG_LEGACY;
}

static uint64_t timer_config(const struct hpet_timer *t)
{
    return t->config | TIMER_PERIODIC_CAP | TIMER_SIZE_64 | ROUTE_CAPABILITIES << 32;
}

/* The GSI a timer is wired to, or -1. */
static int route(const struct hpet *h, unsigned n)
{
    unsigned gsi = (h->timer[n].config & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT;

    if (legacy(h) && n < 2)
        return n == 0 ? 0 : 8;
    return ROUTE_CAPABILITIES >> gsi & 1 ? (int)gsi : -1;
}

static bool timer_line(const struct hpet *h, unsigned n)
{
    const struct hpet_timer *t = &h->timer[n];

    if (!(t->config & TIMER_INT_ENABLE))
        return false;
    return t->config & TIMER_LEVEL ? h->status >> n & 1 : t->line;
}

/* One source bit per timer: several timers may share a GSI. */
static void set_line(struct dev *d, unsigned n, bool level)
{
    int gsi = route(d->state, n);

    if (gsi >= 0)
        irq_set(d->board, (unsigned)gsi, IRQ_SOURCE + n, level);
}

static void drive(struct dev *d)
{
    for (unsigned n = 0; n < TIMERS; n++)
        set_line(d, n, timer_line(d->state, n));
}

static void fire(struct dev *d, unsigned n)
{
    struct hpet *h = d->state;

    if (h->timer[n].config & TIMER_LEVEL) {
        h->status |= 1ull << n;
    } else if (h->timer[n].config & TIMER_INT_ENABLE) {
        set_line(d, n, false);
        h->timer[n].line = 1;
    }
}

static void catch_up(struct dev *d, uint64_t now)
{
    struct hpet *h = d->state;
    uint64_t counter = counter_at(h, now);

    if (!running(h))
        return;
    for (unsigned n = 0; n < TIMERS; n++) {
        if (take_match(&h->timer[n], counter))
            fire(d, n);
    }
    drive(d);
}

/* ---- registers ---- */

static uint64_t read_timer(const struct hpet *h, unsigned off)
{
    unsigned n = (off - HPET_TIMER) / HPET_TIMER_STRIDE;

    if (n >= TIMERS)
        return 0;
    switch (off % HPET_TIMER_STRIDE) {
    case HPET_TIMER_CONFIG: return timer_config(&h->timer[n]);
    case HPET_TIMER_COMPARATOR: return h->timer[n].comparator;
    default: return 0;
    }
}

static uint64_t read_register(const struct hpet *h, unsigned off, uint64_t now)
{
    switch (off) {
    case HPET_CAPABILITIES: return CAPABILITIES;
    case HPET_CONFIG: return h->config;
    case HPET_STATUS: return h->status;
    case HPET_COUNTER: return counter_at(h, now);
    default: return off >= HPET_TIMER ? read_timer(h, off) : 0;
    }
}

/* From here on no match counts before the present value of the counter. */
static void look_from(struct hpet *h, uint64_t counter)
{
    for (unsigned n = 0; n < TIMERS; n++)
        h->timer[n].seen = counter;
}

static void write_config(struct dev *d, uint64_t value, uint64_t now)
{
    struct hpet *h = d->state;
    uint64_t counter = counter_at(h, now);

    for (unsigned n = 0; n < TIMERS; n++)
        set_line(d, n, false); /* the wiring may change */
    h->config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
    h->counter = counter;
    h->since = now;
    look_from(h, counter);
    pit_connect_irq(board_find(d->board, pit_class.name, 0), !legacy(h));
    rtc_connect_irq(board_find(d->board, rtc_class.name, 0), !legacy(h));
}

static void write_counter(struct hpet *h, uint64_t value)
{
    if (running(h))
        return;
    h->counter = value;
    look_from(h, value);
}

static void write_timer_config(struct dev *d, unsigned n, uint64_t value)
{
    struct hpet *h = d->state;
    struct hpet_timer *t = &h->timer[n];

    set_line(d, n, false);
    value &= TIMER_WRITABLE;
    if (!(ROUTE_CAPABILITIES >> ((value & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT) & 1))
        value = (value & ~(uint64_t)TIMER_ROUTE) | (t->config & TIMER_ROUTE);
    t->config = value;
    t->comparator &= width_mask(t);
    t->period &= width_mask(t);
    if (!(value & TIMER_INT_ENABLE) || (value & TIMER_LEVEL))
        t->line = 0;
}

/* A periodic timer takes the value as its period, and as its next match too if the guest asked for that
 * just before. */
static void write_comparator(struct hpet_timer *t, uint64_t value, uint64_t lanes)
{
    if (!(t->config & TIMER_PERIODIC) || (t->config & TIMER_SET_ACCUMULATOR))
        t->comparator = ((t->comparator & ~lanes) | value) & width_mask(t);
    if (t->config & TIMER_PERIODIC)
        t->period = ((t->period & ~lanes) | value) & width_mask(t);
    t->config &= ~(uint64_t)TIMER_SET_ACCUMULATOR;
}

static void write_timer(struct dev *d, unsigned off, uint64_t value, uint64_t lanes)
{
    struct hpet *h = d->state;
    unsigned n = (off - HPET_TIMER) / HPET_TIMER_STRIDE;

    if (n >= TIMERS)
        return;
    if (off % HPET_TIMER_STRIDE == HPET_TIMER_CONFIG)
        write_timer_config(d, n, (h->timer[n].config & ~lanes) | value);
    else if (off % HPET_TIMER_STRIDE == HPET_TIMER_COMPARATOR)
        write_comparator(&h->timer[n], value, lanes);
}

/* `value` holds only the bits of `lanes`. */
static void write_register(struct dev *d, unsigned off, uint64_t value, uint64_t lanes, uint64_t now)
{
    struct hpet *h = d->state;

    switch (off) {
    case HPET_CONFIG: write_config(d, (h->config & ~lanes) | value, now); break;
    case HPET_STATUS: h->status &= ~value; break;
    case HPET_COUNTER: write_counter(h, (h->counter & ~lanes) | value); break;
    default:
        if (off >= HPET_TIMER)
            write_timer(d, off, value, lanes);
    }
}

/* ---- on the bus ---- */

static bool is_aligned(uint64_t off, unsigned size)
{
    return (size == 4 || size == 8) && off % size == 0;
}

static uint64_t hpet_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    uint64_t now = board_now(d->board);

    (void)region;
    if (!is_aligned(off, size))
        return 0;
    if ((off & ~7ull) != HPET_COUNTER) /* kernels read it in every time stamp; it needs no catching up */
        catch_up(d, now);
    return read_register(d->state, (unsigned)off & ~7u, now) >> (off % 8 * 8);
}

static void hpet_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    uint64_t now = board_now(d->board), lanes = size == 8 ? UINT64_MAX : 0xffffffffull << (off % 8 * 8);

    (void)region;
    if (!is_aligned(off, size))
        return;
    catch_up(d, now);
    write_register(d, (unsigned)off & ~7u, value << (off % 8 * 8) & lanes, lanes, now);
    drive(d);
}

static uint64_t hpet_deadline(struct dev *d)
{
    const struct hpet *h = d->state;
    uint64_t first = DEV_NEVER;

    for (unsigned n = 0; running(h) && n < TIMERS; n++) {
        const struct hpet_timer *t = &h->timer[n];
        bool raised = (t->config & TIMER_LEVEL) && (h->status >> n & 1);
        uint64_t due = (t->config & TIMER_INT_ENABLE) && !raised ? match_deadline(h, t) : DEV_NEVER;
        if (due < first)
            first = due;
    }
    return first;
}

static void hpet_tick(struct dev *d, uint64_t now)
{
    catch_up(d, now);
}

static int hpet_init(struct dev *d)
{
    return bus_claim_mmio(d, 0, HPET_BASE, HPET_BYTES);
}

static void hpet_reset(struct dev *d)
{
    struct hpet *h = d->state;

    write_config(d, 0, board_now(d->board));
    *h = (struct hpet){.since = h->since};
    for (unsigned n = 0; n < TIMERS; n++)
        h->timer[n].comparator = UINT64_MAX;
}

const struct dev_class hpet_class = {
    .name = "hpet",
    .version = 1,
    .size = sizeof(struct hpet),
    .fields = hpet_fields,
    .nfields = sizeof(hpet_fields) / sizeof(hpet_fields[0]),
    .init = hpet_init,
    .reset = hpet_reset,
    .read = hpet_read,
    .write = hpet_write,
    .deadline = hpet_deadline,
    .tick = hpet_tick,
    .restored = drive,
};
