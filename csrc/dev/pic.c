/* The pair of 8259A interrupt controllers and the edge/level register (ELCR) of the PC.
 *
 * Follows Intel's 8259A data sheet (initialisation, operation words, priority, poll) and the PIIX3 data sheet
 * for ELCR. Left out: 8080 mode (vectors are 8086 style whatever ICW4 says), the buffered-mode pins, and
 * ICW1.LTIM, which the PIIX3 replaces by ELCR. ICW3 is accepted and ignored: the wiring is fixed, the slave
 * sits on IR2.
 *
 * After power-on a chip raises nothing until it has been initialised: a guest without firmware that opens
 * its interrupt flag too early must not find a vector 0. */
#include "dev/pic.h"

#include "core/board.h"
#include "dev/port8.h"

enum { CASCADE = 2, SPURIOUS = 7 };
enum { REGION_MASTER, REGION_SLAVE, REGION_ELCR };

enum { ICW1_IC4 = 0x01, ICW1_SNGL = 0x02, ICW1_INIT = 0x10 };
enum { ICW4_AEOI = 0x02, ICW4_SFNM = 0x10 };
enum { OCW3_SELECT = 0x08, OCW3_POLL = 0x04 };
enum { OCW2_ROTATE = 0x80, OCW2_SPECIFIC = 0x40, OCW2_EOI = 0x20 };

/* What the next write to the odd port means. */
enum pic_step { STEP_READY = 0, STEP_ICW1 = 1, STEP_ICW2 = 2, STEP_ICW3 = 3, STEP_ICW4 = 4 };

struct pic_chip {
    uint8_t line;         /* input levels */
    uint8_t latch;        /* rising edges not yet acknowledged, while their line is still up */
    uint8_t isr;
    uint8_t imr;
    uint8_t elcr;         /* bit set: that input is level triggered */
    uint8_t base;         /* ICW2 */
    uint8_t icw1, icw4;
    uint8_t step;         /* enum pic_step */
    uint8_t lowest;       /* input of lowest priority; the one after it is the highest */
    uint8_t read_isr;     /* OCW3: the even port shows ISR instead of IRR */
    uint8_t poll;
    uint8_t special_mask;
    uint8_t rotate_aeoi;
};

struct pic {
    struct pic_chip chip[2];
};

#define CHIP_FIELD(n, member) FIELD(struct pic, chip[n].member, uint8_t)
#define CHIP_FIELDS(n)                                                                                  \
    CHIP_FIELD(n, line), CHIP_FIELD(n, latch), CHIP_FIELD(n, isr), CHIP_FIELD(n, imr),                  \
    CHIP_FIELD(n, elcr), CHIP_FIELD(n, base), CHIP_FIELD(n, icw1), CHIP_FIELD(n, icw4),                 \
    CHIP_FIELD(n, step), CHIP_FIELD(n, lowest), CHIP_FIELD(n, read_isr), CHIP_FIELD(n, poll),           \
    CHIP_FIELD(n, special_mask), CHIP_FIELD(n, rotate_aeoi)

static const struct state_field pic_fields[] = {CHIP_FIELDS(0), CHIP_FIELDS(1)};

/* ELCR bits that exist: system timer, keyboard, cascade, RTC and FPU are always edge triggered. */
static const uint8_t elcr_mask[2] = {0xf8, 0xde};

/* ---- one chip ---- */

static uint8_t chip_irr(const struct pic_chip *c)
{
    return (c->latch & (uint8_t)~c->elcr) | (c->line & c->elcr);
}

/* 0 is the highest priority, 7 the lowest. */
static unsigned rank(const struct pic_chip *c, unsigned input)
{
    return (input - c->lowest - 1) & 7;
}

static int highest(const struct pic_chip *c, uint8_t inputs)
{
    for (unsigned i = 1; i <= 8; i++) {
        unsigned input = (c->lowest + i) & 7;
        if (inputs & (1u << input))
            return (int)input;
    }
    return -1;
}

/* In-service inputs that count for priority: in special mask mode a masked one blocks nobody. */
static uint8_t in_service(const struct pic_chip *c)
{
    return c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
}

/* The input whose request drives INT, or -1. */
static int chip_request(const struct pic_chip *c)
{
    uint8_t blocking = in_service(c);
    int want = highest(c, chip_irr(c) & (uint8_t)~c->imr);

    if (c->step != STEP_READY || want < 0)
        return -1;
    if (c->icw4 & ICW4_SFNM)
        blocking &= (uint8_t)~(1u << CASCADE);
    int busy = highest(c, blocking);
    return busy < 0 || rank(c, (unsigned)want) < rank(c, (unsigned)busy) ? want : -1;
}

static void chip_line(struct pic_chip *c, unsigned input, bool level)
{
    uint8_t bit = (uint8_t)(1u << input);

    if (level) {
        c->latch |= bit & (uint8_t)~c->line;
        c->line |= bit;
    } else {
        c->latch &= (uint8_t)~bit;
        c->line &= (uint8_t)~bit;
    }
}

/* The CPU (or a poll) accepts the request of `input`. */
static void chip_accept(struct pic_chip *c, unsigned input)
{
    c->latch &= (uint8_t)~(1u << input);
    if (!(c->icw4 & ICW4_AEOI))
        c->isr |= (uint8_t)(1u << input);
    else if (c->rotate_aeoi)
        c->lowest = (uint8_t)input;
}

static void write_icw1(struct pic_chip *c, uint8_t value)
{
    c->icw1 = value;
    c->icw4 = 0;
    c->latch = c->isr = c->imr = 0;
    c->read_isr = c->poll = c->special_mask = c->rotate_aeoi = 0;
    c->lowest = 7;
    c->step = STEP_ICW2;
}

static void end_of_interrupt(struct pic_chip *c, uint8_t value)
{
    int input = value & OCW2_SPECIFIC ? value & 7 : highest(c, in_service(c));

    if (input < 0)
        return;
    c->isr &= (uint8_t)~(1u << input);
    if (value & OCW2_ROTATE)
        c->lowest = (uint8_t)input;
}

static void write_ocw2(struct pic_chip *c, uint8_t value)
{
    if (value & OCW2_EOI)
        end_of_interrupt(c, value);
    else if ((value & OCW2_ROTATE) && (value & OCW2_SPECIFIC))
        c->lowest = value & 7;
    else if (!(value & OCW2_SPECIFIC))
        c->rotate_aeoi = (value & OCW2_ROTATE) != 0;
}

static void write_ocw3(struct pic_chip *c, uint8_t value)
{
    if (value & OCW3_POLL)
        c->poll = 1;
    if (value & 2)
        c->read_isr = value & 1;
    if (value & 0x40)
        c->special_mask = (value >> 5) & 1;
}

static void write_odd_port(struct pic_chip *c, uint8_t value)
{
    switch (c->step) {
    case STEP_ICW2:
        c->base = value & 0xf8;
        c->step = c->icw1 & ICW1_SNGL ? (c->icw1 & ICW1_IC4 ? STEP_ICW4 : STEP_READY) : STEP_ICW3;
        break;
    case STEP_ICW3:
        c->step = c->icw1 & ICW1_IC4 ? STEP_ICW4 : STEP_READY;
        break;
    case STEP_ICW4:
        c->icw4 = value;
        c->step = STEP_READY;
        break;
    default:
        c->imr = value;
    }
}

static void chip_write(struct pic_chip *c, unsigned off, uint8_t value)
{
    if (off & 1)
        write_odd_port(c, value);
    else if (value & ICW1_INIT)
        write_icw1(c, value);
    else if (value & OCW3_SELECT)
        write_ocw3(c, value);
    else
        write_ocw2(c, value);
}

static uint8_t poll_read(struct pic_chip *c)
{
    int input = chip_request(c);

    c->poll = 0;
    if (input < 0)
        return 0;
    chip_accept(c, (unsigned)input);
    return (uint8_t)(0x80 | input);
}

static uint8_t chip_read(struct pic_chip *c, unsigned off)
{
    if (c->poll)
        return poll_read(c);
    if (off & 1)
        return c->imr;
    return c->read_isr ? c->isr : chip_irr(c);
}

/* ---- the pair on its bus ---- */

static void pic_update(struct dev *d)
{
    struct pic *p = d->state;

    chip_line(&p->chip[0], CASCADE, chip_request(&p->chip[1]) >= 0);
    irq_pic_output(d->board, chip_request(&p->chip[0]) >= 0);
}

void pic_line(struct dev *d, unsigned irq, bool level)
{
    struct pic *p = d->state;

    if (irq > 15 || irq == CASCADE)
        return;
    chip_line(&p->chip[irq >> 3], irq & 7, level);
    pic_update(d);
}

bool pic_output(const struct dev *d)
{
    const struct pic *p = d->state;

    return chip_request(&p->chip[0]) >= 0;
}

static int slave_ack(struct pic_chip *slave)
{
    int input = chip_request(slave);

    if (input < 0)
        return slave->base + SPURIOUS;
    chip_accept(slave, (unsigned)input);
    return slave->base + input;
}

int pic_ack(struct dev *d)
{
    struct pic *p = d->state;
    int input = chip_request(&p->chip[0]);
    int vector = p->chip[0].base + (input < 0 ? SPURIOUS : input);

    if (input >= 0)
        chip_accept(&p->chip[0], (unsigned)input);
    if (input == CASCADE) {
        vector = slave_ack(&p->chip[1]);
        /* The slave's INT drops during the cycle, so that its next request is a new edge even in automatic
         * EOI mode. */
        chip_line(&p->chip[0], CASCADE, false);
    }
    irq_pic_output(d->board, false); /* likewise towards an IOAPIC entry in edge mode */
    pic_update(d);
    return vector;
}

static uint8_t pic_read8(struct dev *d, unsigned region, unsigned off)
{
    struct pic *p = d->state;

    if (region == REGION_ELCR)
        return p->chip[off & 1].elcr;
    uint8_t value = chip_read(&p->chip[region & 1], off);
    pic_update(d);
    return value;
}

static void pic_write8(struct dev *d, unsigned region, unsigned off, uint8_t value)
{
    struct pic *p = d->state;

    if (region == REGION_ELCR)
        p->chip[off & 1].elcr = value & elcr_mask[off & 1];
    else
        chip_write(&p->chip[region & 1], off, value);
    pic_update(d);
}

static uint64_t pic_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    return port8_read(d, region, off, size, pic_read8);
}

static void pic_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    port8_write(d, region, off, size, value, pic_write8);
}

static int pic_init(struct dev *d)
{
    int rc = bus_claim_ports(d, REGION_MASTER, 0x20, 2);

    if (!rc)
        rc = bus_claim_ports(d, REGION_SLAVE, 0xa0, 2);
    if (!rc)
        rc = bus_claim_ports(d, REGION_ELCR, 0x4d0, 2);
    return rc;
}

static void pic_reset(struct dev *d)
{
    struct pic *p = d->state;

    for (unsigned i = 0; i < 2; i++)
        p->chip[i] = (struct pic_chip){.line = p->chip[i].line, .lowest = 7, .step = STEP_ICW1};
    pic_update(d);
}

const struct dev_class pic_class = {
    .name = "pic",
    .version = 1,
    .size = sizeof(struct pic),
    .fields = pic_fields,
    .nfields = sizeof(pic_fields) / sizeof(pic_fields[0]),
    .init = pic_init,
    .reset = pic_reset,
    .read = pic_read,
    .write = pic_write,
    .restored = pic_update,
};
