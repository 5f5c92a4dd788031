/* The I/O APIC: 24 pins, each with a redirection entry that makes an interrupt message of it.
 *
 * Follows the Intel 82093AA datasheet, with the EOI register of later versions (version 0x20). Decided
 * where sources differ: an edge that comes while its pin is masked is dropped; the polarity bit is
 * storage, because chips drive "asserted"; the arbitration ID reads as the ID. A level line that stays
 * asserted through thousands of EOIs is delivered late instead of starving the guest. Leaves out: SMI and
 * INIT entries (ignored by the local APICs or delivered as programmed). */
#include "dev/ioapic.h"

#include "core/board.h"

#define BASE 0xfec00000ull
#define WINDOW 0x1000
#define PINS 24
#define VERSION (((PINS - 1) << 16) | 0x20)

enum { IOREGSEL = 0x00, IOWIN = 0x10, EOI = 0x40 };
enum { REG_ID = 0, REG_VERSION = 1, REG_ARBITRATION = 2, REG_ENTRY = 0x10 };

/* Entry:  63:56 destination | 16 mask | 15 level | 14 remote IRR | 13 polarity | 12 status | 11 logical
 *         | 10:8 mode | 7:0 vector */
#define ENTRY_MASKED (1ull << 16)
#define ENTRY_LEVEL (1ull << 15)
#define ENTRY_REMOTE_IRR (1ull << 14)
#define ENTRY_LOGICAL (1ull << 11)
#define ENTRY_WRITABLE 0xff0000000001afffull

#define STORM_REPEATS 10000
#define STORM_DELAY_NS 10000000ull

struct ioapic {
    uint64_t retry_at;         /* when the delayed pins are looked at again */
    uint64_t entry[PINS];
    uint32_t repeats[PINS];    /* EOIs that found the line still asserted, since it last dropped */
    uint32_t lines, delayed;   /* bit per pin */
    uint32_t select, id;
};

static void deliver(struct dev *d, unsigned pin)
{
    const struct ioapic *io = d->state;
    uint64_t e = io->entry[pin];
    struct apic_msg msg = {
        .dest = (uint32_t)(e >> 56), .logical = e & ENTRY_LOGICAL, .level = e & ENTRY_LEVEL,
        .mode = e >> 8 & 7, .vector = (uint8_t)e,
    };
    irq_send(d->board, &msg);
}

/* A level pin speaks while its line is asserted and its last interrupt has been ended. */
static void service_level(struct dev *d, unsigned pin)
{
    struct ioapic *io = d->state;
    uint64_t e = io->entry[pin];
    bool asserted = (io->lines & ~io->delayed) >> pin & 1;
    if (!asserted || !(e & ENTRY_LEVEL) || (e & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
        return;
    io->entry[pin] |= ENTRY_REMOTE_IRR;
    deliver(d, pin);
}

void ioapic_line(struct dev *d, unsigned pin, bool level)
{
    struct ioapic *io = d->state;
    uint32_t bit = 1u << pin;
    if (pin >= PINS || level == (io->lines >> pin & 1))
        return;
    io->lines ^= bit;
    if (!level) {
        io->repeats[pin] = 0;
        return;
    }
    if (io->entry[pin] & ENTRY_LEVEL)
        service_level(d, pin);
    else if (!(io->entry[pin] & ENTRY_MASKED))
        deliver(d, pin);
}

static void delay(struct dev *d, unsigned pin)
{
    struct ioapic *io = d->state;
    if (!io->delayed)
        io->retry_at = board_now(d->board) + STORM_DELAY_NS;
    io->delayed |= 1u << pin;
    io->repeats[pin] = 0;
    dev_rearm(d);
}

void ioapic_eoi(struct dev *d, uint8_t vector)
{
    struct ioapic *io = d->state;
    for (unsigned pin = 0; pin < PINS; pin++) {
        if ((uint8_t)io->entry[pin] != vector || !(io->entry[pin] & ENTRY_REMOTE_IRR))
            continue;
        io->entry[pin] &= ~ENTRY_REMOTE_IRR;
        if ((io->lines >> pin & 1) && ++io->repeats[pin] > STORM_REPEATS)
            delay(d, pin);
        service_level(d, pin);
    }
}

static uint64_t deadline(struct dev *d)
{
    const struct ioapic *io = d->state;
    return io->delayed ? io->retry_at : DEV_NEVER;
}

static void tick(struct dev *d, uint64_t now)
{
    struct ioapic *io = d->state;
    if (now < io->retry_at)
        return;
    io->delayed = 0;
    for (unsigned pin = 0; pin < PINS; pin++)
        service_level(d, pin);
}

static uint32_t window_read(const struct ioapic *io)
{
    unsigned slot = io->select - REG_ENTRY;
    if (io->select >= REG_ENTRY && slot < 2 * PINS)
        return (uint32_t)(io->entry[slot / 2] >> (slot & 1 ? 32 : 0));
    switch (io->select) {
    case REG_ID:
    case REG_ARBITRATION:
        return io->id;
    case REG_VERSION:
        return VERSION;
    default:
        return 0;
    }
}

static void entry_write(struct dev *d, unsigned slot, uint32_t value)
{
    struct ioapic *io = d->state;
    unsigned shift = slot & 1 ? 32 : 0;
    uint64_t mask = ENTRY_WRITABLE & (0xffffffffull << shift);
    uint64_t *e = &io->entry[slot / 2];
    *e = (*e & ~mask) | ((uint64_t)value << shift & mask);
    if (!(*e & ENTRY_LEVEL))
        *e &= ~ENTRY_REMOTE_IRR;
    service_level(d, slot / 2);
}

static void window_write(struct dev *d, uint32_t value)
{
    struct ioapic *io = d->state;
    unsigned slot = io->select - REG_ENTRY;
    if (io->select == REG_ID)
        io->id = value & 0x0f000000;
    else if (io->select >= REG_ENTRY && slot < 2 * PINS)
        entry_write(d, slot, value);
}

static uint64_t read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    const struct ioapic *io = d->state;
    (void)region, (void)size;
    return off == IOREGSEL ? io->select : off == IOWIN ? window_read(io) : 0;
}

static void write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    struct ioapic *io = d->state;
    (void)region, (void)size;
    if (off == IOREGSEL)
        io->select = value & 0xff;
    else if (off == IOWIN)
        window_write(d, (uint32_t)value);
    else if (off == EOI)
        ioapic_eoi(d, (uint8_t)value);
}

/* The pins are inputs: a reset does not change their levels. The ID is the one the MADT names, as if
 * firmware had set it. */
static void reset(struct dev *d)
{
    struct ioapic *io = d->state;
    *io = (struct ioapic){.lines = io->lines, .id = (d->board->cfg.cpus & 0xf) << 24};
    for (unsigned pin = 0; pin < PINS; pin++)
        io->entry[pin] = ENTRY_MASKED;
}

static int init(struct dev *d)
{
    d->board->irq.ioapic = d;
    return bus_claim_mmio(d, 0, BASE, WINDOW);
}

static const struct state_field fields[] = {
    FIELD(struct ioapic, retry_at, uint64_t),
    FIELD(struct ioapic, entry, uint64_t),
    FIELD(struct ioapic, repeats, uint32_t),
    FIELD(struct ioapic, lines, uint32_t),
    FIELD(struct ioapic, delayed, uint32_t),
    FIELD(struct ioapic, select, uint32_t),
    FIELD(struct ioapic, id, uint32_t),
};

const struct dev_class ioapic_class = {
    .name = "ioapic",
    .version = 1,
    .size = sizeof(struct ioapic),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .init = init,
    .reset = reset,
    .read = read,
    .write = write,
    .deadline = deadline,
    .tick = tick,
};
