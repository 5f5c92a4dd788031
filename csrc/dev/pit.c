/* The 8254 interval timer and port 0x61 (system control port B) of the PC.
 *
 * Follows Intel's 82C54 data sheet. A channel is a function of time: what is stored is the tick of the
 * crystal, counted from power-on, at which its count began, and a read computes the rest; the crystal's phase
 * is that of VM time 0. Only channel 0 needs the board's deadline, once per rising edge of its output: the
 * falling edges between are delivered late, together with the next rise, which spares an exit per period and
 * only ever keeps an unacknowledged request alive for longer.
 *
 * Left out: the speaker; a count written in mode 3 takes over at the end of the whole period rather than
 * of the half. Channels 0 and 1 have their gates tied high, so their modes 1 and 5 never start. Counts of
 * 1 in modes 2 and 3, which the data sheet forbids, leave the output high. After power-on no channel runs. */
#include "dev/pit.h"

#include "core/board.h"
#include "dev/port8.h"
#include "dev/ticks.h"

#define REFRESH_TICKS 18 /* half period of the DRAM refresh toggle: 15.085 us */

enum { REGION_PIT, REGION_PORT_B };
enum { CONTROL = 3, SPEAKER_CHANNEL = 2 };
enum pit_access { ACCESS_LATCH = 0, ACCESS_LOW = 1, ACCESS_HIGH = 2, ACCESS_BOTH = 3 };
enum { STATUS_OUT = 0x80, STATUS_NULL = 0x40 };
enum { READ_BACK_NO_COUNT = 0x20, READ_BACK_NO_STATUS = 0x10 };
enum { PORT_B_GATE2 = 0x01, PORT_B_WRITABLE = 0x0f, PORT_B_REFRESH = 0x10, PORT_B_OUT2 = 0x20 };

struct pit_channel {
    uint64_t start;         /* tick at which the counting element held `count` */
    uint64_t paused;        /* ticks counted when the gate stopped modes 0 and 4 */
    uint64_t switch_at;     /* modes 2, 3: tick at which `reload` replaces `count`; 0 = none waits */
    uint32_t count;         /* in effect, 1 to 65536 */
    uint32_t reload;        /* as written last; 0 = none since the control word */
    uint16_t latch;
    uint8_t mode, access, bcd;
    uint8_t gate;
    uint8_t running;        /* `count` was loaded since the control word */
    uint8_t low_byte;       /* first half of a two-byte write */
    uint8_t write_high, read_high; /* the next byte of a two-byte access is the high one */
    uint8_t latched;        /* bytes of `latch` still to be read */
    uint8_t status, status_latched;
    uint8_t reserved[3];
};

struct pit {
    struct pit_channel ch[3];
    uint64_t seen;          /* tick up to which channel 0's edges have reached the interrupt line */
    uint8_t port_b;         /* bits 3:0 of port 0x61 */
    uint8_t irq_off;        /* HPET legacy replacement */
    uint8_t line;           /* what channel 0 last drove; behind its output by late falling edges */
    uint8_t reserved[5];
};

#define CH_FIELDS(n)                                                                                         \
    FIELD(struct pit, ch[n].start, uint64_t), FIELD(struct pit, ch[n].paused, uint64_t),                     \
    FIELD(struct pit, ch[n].switch_at, uint64_t), FIELD(struct pit, ch[n].count, uint32_t),                  \
    FIELD(struct pit, ch[n].reload, uint32_t), FIELD(struct pit, ch[n].latch, uint16_t),                     \
    FIELD(struct pit, ch[n].mode, uint8_t), FIELD(struct pit, ch[n].access, uint8_t),                        \
    FIELD(struct pit, ch[n].bcd, uint8_t), FIELD(struct pit, ch[n].gate, uint8_t),                           \
    FIELD(struct pit, ch[n].running, uint8_t), FIELD(struct pit, ch[n].low_byte, uint8_t),                   \
    FIELD(struct pit, ch[n].write_high, uint8_t), FIELD(struct pit, ch[n].read_high, uint8_t),               \
    FIELD(struct pit, ch[n].latched, uint8_t), FIELD(struct pit, ch[n].status, uint8_t),                     \
    FIELD(struct pit, ch[n].status_latched, uint8_t), FIELD(struct pit, ch[n].reserved, uint8_t)

static const struct state_field pit_fields[] = {
    CH_FIELDS(0),
    CH_FIELDS(1),
    CH_FIELDS(2),
    FIELD(struct pit, seen, uint64_t),
    FIELD(struct pit, port_b, uint8_t),
    FIELD(struct pit, irq_off, uint8_t),
    FIELD(struct pit, line, uint8_t),
    FIELD(struct pit, reserved, uint8_t),
};

/* ---- one channel, at a given tick ---- */

static bool is_periodic(const struct pit_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* The gate's low level freezes these; it resets 2 and 3, and 1 and 5 only look at its rise. */
static bool gate_freezes(const struct pit_channel *c)
{
    return c->mode == 0 || c->mode == 4;
}

/* Ticks counted so far; negative while the count is still on its way into the counting element. */
static int64_t elapsed(const struct pit_channel *c, uint64_t tick)
{
    return (int64_t)(gate_freezes(c) && !c->gate ? c->paused : tick - c->start);
}

static bool channel_out(const struct pit_channel *c, uint64_t tick)
{
    int64_t e = elapsed(c, tick);

    if (!c->running || e < 0)
        return c->mode != 0;
    switch (c->mode) {
    case 0:
    case 1:
        return e >= c->count;
    case 2:
        return !c->gate || c->count < 2 || e % c->count != c->count - 1;
    case 3:
        return !c->gate || c->count < 2 || e % c->count < (c->count + 1) / 2;
    default:
        return e != c->count;
    }
}

/* Mode 3 counts down by two in each half; an odd count gives the high half one tick more. */
static uint32_t square_value(const struct pit_channel *c, uint32_t position)
{
    uint32_t high = (c->count + 1) / 2;

    return (c->count & ~1u) - 2 * (position < high ? position : position - high);
}

static uint16_t to_register(const struct pit_channel *c, int64_t value)
{
    if (!c->bcd)
        return (uint16_t)value;
    unsigned v = (unsigned)((value % 10000 + 10000) % 10000);
    return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 << 12);
}

static uint16_t channel_value(const struct pit_channel *c, uint64_t tick)
{
    int64_t e = elapsed(c, tick);

    if (!c->running || e < 0 || (is_periodic(c) && !c->gate))
        return to_register(c, c->count);
    if (c->mode == 3)
        return to_register(c, square_value(c, (uint32_t)(e % c->count)));
    return to_register(c, c->count - (c->mode == 2 ? e % c->count : e));
}

static uint32_t from_register(const struct pit_channel *c, uint16_t value)
{
    if (!c->bcd)
        return value ? value : 65536;
    uint32_t n = (value >> 12) * 1000u + (value >> 8 & 15) * 100u + (value >> 4 & 15) * 10u + (value & 15);
    return n ? n : 10000;
}

/* First tick after `tick` at which the output of a channel with its gate high rises, or UINT64_MAX. */
static uint64_t next_rise(const struct pit_channel *c, uint64_t tick)
{
    int64_t e = elapsed(c, tick);

    if (!c->running || c->mode == 1 || c->mode == 5)
        return UINT64_MAX;
    if (c->mode == 0)
        return e < c->count ? c->start + c->count : UINT64_MAX;
    if (c->mode == 4)
        return e <= c->count ? c->start + c->count + 1 : UINT64_MAX;
    if (c->count < 2)
        return UINT64_MAX;
    return c->start + (e < 0 ? 1 : (uint64_t)e / c->count + 1) * c->count;
}

/* The counting element takes the count with the next clock. */
static void load(struct pit_channel *c, uint64_t tick)
{
    c->count = c->reload;
    c->start = tick + 1;
    c->paused = 0;
    c->switch_at = 0;
    c->running = 1;
}

/* A periodic channel whose waiting count's time has come. */
static void settle(struct pit_channel *c, uint64_t tick)
{
    if (!c->switch_at || tick < c->switch_at)
        return;
    c->start = c->switch_at;
    c->count = c->reload;
    c->switch_at = 0;
}

static void count_written(struct pit_channel *c, uint16_t value, uint64_t tick)
{
    c->reload = from_register(c, value);
    if (gate_freezes(c) || (is_periodic(c) && (!c->running || elapsed(c, tick) < 0)))
        load(c, tick);
    else if (is_periodic(c))
        c->switch_at = c->start + ((uint64_t)elapsed(c, tick) / c->count + 1) * c->count;
}

static void write_count(struct pit_channel *c, uint8_t value, uint64_t tick)
{
    if (c->access == ACCESS_LOW) {
        count_written(c, value, tick);
    } else if (c->access == ACCESS_HIGH) {
        count_written(c, (uint16_t)(value << 8), tick);
    } else if (!c->write_high) {
        c->low_byte = value;
        c->write_high = 1;
        if (c->mode == 0)
            c->running = 0; /* the first byte stops a mode 0 count and takes its output low */
    } else {
        c->write_high = 0;
        count_written(c, (uint16_t)(c->low_byte | value << 8), tick);
    }
}

static void latch_count(struct pit_channel *c, uint64_t tick)
{
    if (c->latched)
        return;
    c->latch = channel_value(c, tick);
    c->latched = c->access == ACCESS_BOTH ? 2 : 1;
}

static void latch_status(struct pit_channel *c, uint64_t tick)
{
    bool waiting = !c->running || c->switch_at || elapsed(c, tick) < 0;

    if (c->status_latched)
        return;
    c->status = (uint8_t)((channel_out(c, tick) ? STATUS_OUT : 0) | (waiting ? STATUS_NULL : 0) |
                          c->access << 4 | c->mode << 1 | c->bcd);
    c->status_latched = 1;
}

static uint8_t read_latch(struct pit_channel *c)
{
    bool high = c->access == ACCESS_HIGH || (c->access == ACCESS_BOTH && c->latched == 1);

    c->latched--;
    return (uint8_t)(high ? c->latch >> 8 : c->latch);
}

static uint8_t read_count(struct pit_channel *c, uint64_t tick)
{
    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    if (c->latched)
        return read_latch(c);
    bool high = c->access == ACCESS_HIGH || (c->access == ACCESS_BOTH && c->read_high);
    if (c->access == ACCESS_BOTH)
        c->read_high ^= 1;
    uint16_t value = channel_value(c, tick);
    return (uint8_t)(high ? value >> 8 : value);
}

static void set_mode(struct pit_channel *c, uint8_t control)
{
    uint8_t mode = control >> 1 & 7;

    c->mode = mode > 5 ? mode & 3 : mode;
    c->access = control >> 4 & 3;
    c->bcd = control & 1;
    c->reload = 0;
    c->switch_at = 0;
    c->running = c->write_high = c->read_high = c->latched = c->status_latched = 0;
}

static void set_gate(struct pit_channel *c, bool gate, uint64_t tick)
{
    if (gate == c->gate)
        return;
    if (!gate) {
        int64_t e = elapsed(c, tick);
        c->paused = e > 0 ? (uint64_t)e : 0;
    } else if (gate_freezes(c)) {
        c->start = tick - c->paused;
    } else if (c->reload) {
        load(c, tick);
    }
    c->gate = gate;
}

/* ---- the chip ---- */

static void read_back(struct pit *p, uint8_t control, uint64_t tick)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!(control & 2u << i))
            continue;
        if (!(control & READ_BACK_NO_COUNT))
            latch_count(&p->ch[i], tick);
        if (!(control & READ_BACK_NO_STATUS))
            latch_status(&p->ch[i], tick);
    }
}

static void write_control(struct pit *p, uint8_t control, uint64_t tick)
{
    unsigned channel = control >> 6;

    if (channel == 3)
        read_back(p, control, tick);
    else if ((control >> 4 & 3) == ACCESS_LATCH)
        latch_count(&p->ch[channel], tick);
    else
        set_mode(&p->ch[channel], control);
}

static uint8_t port_b_value(const struct pit *p, uint64_t tick)
{
    uint8_t refresh = tick / REFRESH_TICKS & 1 ? PORT_B_REFRESH : 0;

    return (uint8_t)(p->port_b | refresh | (channel_out(&p->ch[SPEAKER_CHANNEL], tick) ? PORT_B_OUT2 : 0));
}

/* ---- on the bus ---- */

static uint64_t now_tick(struct dev *d)
{
    return ticks_at(board_now(d->board), PIT_HZ);
}

static void drive(struct dev *d, bool level)
{
    struct pit *p = d->state;

    p->line = level;
    irq_set(d->board, 0, 0, level && !p->irq_off);
}

/* Brings channel 0's edges up to `tick` to the interrupt line; several missed periods make one interrupt. */
static void pit_update(struct dev *d, uint64_t tick)
{
    struct pit *p = d->state;

    if (next_rise(&p->ch[0], p->seen) <= tick) {
        drive(d, false);
        drive(d, true);
    }
    for (unsigned i = 0; i < 3; i++)
        settle(&p->ch[i], tick);
    p->seen = tick;
}

static uint8_t pit_read8(struct dev *d, unsigned region, unsigned off)
{
    struct pit *p = d->state;
    uint64_t tick = now_tick(d);

    if (region == REGION_PORT_B) {
        settle(&p->ch[SPEAKER_CHANNEL], tick);
        return port_b_value(p, tick);
    }
    pit_update(d, tick);
    return off == CONTROL ? 0 : read_count(&p->ch[off], tick);
}

static void pit_write8(struct dev *d, unsigned region, unsigned off, uint8_t value)
{
    struct pit *p = d->state;
    uint64_t tick = now_tick(d);

    pit_update(d, tick);
    if (region == REGION_PORT_B) {
        p->port_b = value & PORT_B_WRITABLE;
        set_gate(&p->ch[SPEAKER_CHANNEL], value & PORT_B_GATE2, tick);
        return;
    }
    if (off == CONTROL)
        write_control(p, value, tick);
    else
        write_count(&p->ch[off], value, tick);
    if (off == 0 || (off == CONTROL && value >> 6 == 0 && (value >> 4 & 3) != ACCESS_LATCH))
        drive(d, channel_out(&p->ch[0], tick));
}

static uint64_t pit_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    return port8_read(d, region, off, size, pit_read8);
}

static void pit_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    port8_write(d, region, off, size, value, pit_write8);
}

void pit_connect_irq(struct dev *d, bool connected)
{
    struct pit *p = d->state;
    uint64_t tick = now_tick(d);

    pit_update(d, tick);
    p->irq_off = !connected;
    drive(d, channel_out(&p->ch[0], tick));
    dev_rearm(d);
}

static uint64_t pit_deadline(struct dev *d)
{
    const struct pit *p = d->state;
    uint64_t rise = p->irq_off ? UINT64_MAX : next_rise(&p->ch[0], p->seen);

    return rise == UINT64_MAX ? DEV_NEVER : ns_of_tick(rise, PIT_HZ);
}

static void pit_tick(struct dev *d, uint64_t now)
{
    pit_update(d, ticks_at(now, PIT_HZ));
}

/* A saved state may hold anything; a count of 0 would divide by zero. */
static void pit_restored(struct dev *d)
{
    struct pit *p = d->state;

    for (unsigned i = 0; i < 3; i++) {
        if (!p->ch[i].count)
            p->ch[i].running = 0;
        if (!p->ch[i].reload)
            p->ch[i].switch_at = 0;
    }
    drive(d, p->line);
}

static int pit_init(struct dev *d)
{
    int rc = bus_claim_ports(d, REGION_PIT, 0x40, 4);

    return rc ? rc : bus_claim_ports(d, REGION_PORT_B, 0x61, 1);
}

static void pit_reset(struct dev *d)
{
    struct pit *p = d->state;

    *p = (struct pit){.seen = now_tick(d)};
    for (unsigned i = 0; i < 3; i++) {
        p->ch[i] = (struct pit_channel){.access = ACCESS_BOTH, .mode = 3, .gate = i != SPEAKER_CHANNEL};
    }
    drive(d, true);
}

const struct dev_class pit_class = {
    .name = "pit",
    .version = 1,
    .size = sizeof(struct pit),
    .fields = pit_fields,
    .nfields = sizeof(pit_fields) / sizeof(pit_fields[0]),
    .init = pit_init,
    .reset = pit_reset,
    .read = pit_read,
    .write = pit_write,
    .deadline = pit_deadline,
    .tick = pit_tick,
    .restored = pit_restored,
};
