/* System control odds and ends of the PC's south bridge: port 0x92 (fast A20 and reset), the reset control
 * register 0xCF9, the POST code port 0x80, and the register files of the two 8237 DMA controllers and their
 * page registers.
 *
 * Follows the PIIX3 data sheet (RC, port 92) and, for ports, the ISA map. The A20 gate has one state that
 * the last writer sets, whether through port 0x92 or the keyboard controller. No DMA transfer is ever
 * made, since no ISA device asks for one: the 8237 registers are latches that read back what was written.
 * Left out: the reset type in 0xCF9 (hard and soft are the same here). */
#include "dev/sysctl.h"

#include "core/board.h"
#include "dev/port8.h"

enum { REGION_DMA1, REGION_PAGES, REGION_DMA2, REGION_PORT92 };
enum { PORT92_RESET = 0x01, PORT92_A20 = 0x02 };
enum { CF9_RESET_CPU = 0x04 };

struct sysctl {
    uint8_t dma1[16];   /* 0x00 */
    uint8_t pages[16];  /* 0x80; the first byte is the POST code */
    uint8_t dma2[32];   /* 0xc0 */
    uint8_t port92;
    uint8_t cf9;
    uint8_t a20;
};

static const struct state_field sysctl_fields[] = {
    FIELD(struct sysctl, dma1, uint8_t), FIELD(struct sysctl, pages, uint8_t),
    FIELD(struct sysctl, dma2, uint8_t), FIELD(struct sysctl, port92, uint8_t),
    FIELD(struct sysctl, cf9, uint8_t),  FIELD(struct sysctl, a20, uint8_t),
};

static struct dev *the_sysctl(struct board *b)
{
    return board_find(b, sysctl_class.name, 0);
}

bool sysctl_a20(struct board *b)
{
    const struct dev *d = the_sysctl(b);

    return d ? ((const struct sysctl *)d->state)->a20 : true;
}

void sysctl_set_a20(struct board *b, bool on)
{
    struct dev *d = the_sysctl(b);
    struct sysctl *s = d ? d->state : NULL;

    if (!s || s->a20 == on)
        return;
    s->a20 = on;
    ram_set_a20(b, on);
}

uint8_t sysctl_reset_read(struct board *b)
{
    const struct dev *d = the_sysctl(b);

    return d ? ((const struct sysctl *)d->state)->cf9 : 0xff;
}

void sysctl_reset_write(struct board *b, uint8_t value)
{
    struct dev *d = the_sysctl(b);

    if (d)
        ((struct sysctl *)d->state)->cf9 = value & (uint8_t)~CF9_RESET_CPU;
    if (value & CF9_RESET_CPU)
        board_request(b, VMK_REQ_RESET, 0);
}

static void write_port92(struct dev *d, uint8_t value)
{
    struct sysctl *s = d->state;
    bool reset = value & (uint8_t)~s->port92 & PORT92_RESET;

    s->port92 = value;
    sysctl_set_a20(d->board, value & PORT92_A20);
    if (reset)
        board_request(d->board, VMK_REQ_RESET, 0);
}

static uint8_t *latch(struct sysctl *s, unsigned region, unsigned off)
{
    switch (region) {
    case REGION_DMA1: return &s->dma1[off & 15];
    case REGION_PAGES: return &s->pages[off & 15];
    default: return &s->dma2[off & 31];
    }
}

static uint8_t sysctl_read8(struct dev *d, unsigned region, unsigned off)
{
    struct sysctl *s = d->state;

    if (region == REGION_PORT92)
        return (uint8_t)((s->port92 & ~PORT92_A20) | (s->a20 ? PORT92_A20 : 0));
    return *latch(s, region, off);
}

static void sysctl_write8(struct dev *d, unsigned region, unsigned off, uint8_t value)
{
    if (region == REGION_PORT92)
        write_port92(d, value);
    else
        *latch(d->state, region, off) = value;
}

static uint64_t sysctl_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    return port8_read(d, region, off, size, sysctl_read8);
}

static void sysctl_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    port8_write(d, region, off, size, value, sysctl_write8);
}

static int sysctl_init(struct dev *d)
{
    static const struct { unsigned region; uint32_t base, count; } claims[] = {
        {REGION_DMA1, 0x00, 16}, {REGION_PAGES, 0x80, 16}, {REGION_DMA2, 0xc0, 32}, {REGION_PORT92, 0x92, 1},
    };
    int rc = 0;

    for (unsigned i = 0; !rc && i < sizeof(claims) / sizeof(claims[0]); i++)
        rc = bus_claim_ports(d, claims[i].region, claims[i].base, claims[i].count);
    return rc;
}

static void sysctl_reset(struct dev *d)
{
    struct sysctl *s = d->state;

    *s = (struct sysctl){.a20 = 1};
    ram_set_a20(d->board, true);
}

static void sysctl_restored(struct dev *d)
{
    struct sysctl *s = d->state;

    s->a20 = s->a20 != 0;
    ram_set_a20(d->board, s->a20);
}

const struct dev_class sysctl_class = {
    .name = "sysctl",
    .version = 1,
    .size = sizeof(struct sysctl),
    .fields = sysctl_fields,
    .nfields = sizeof(sysctl_fields) / sizeof(sysctl_fields[0]),
    .init = sysctl_init,
    .reset = sysctl_reset,
    .read = sysctl_read,
    .write = sysctl_write,
    .restored = sysctl_restored,
};
