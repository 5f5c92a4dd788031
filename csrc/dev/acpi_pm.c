/* The ACPI fixed hardware of the PIIX4 power management function: PM1 event and control blocks, PM timer,
 * GPE0, and the SMI command port that hands the machine to ACPI.
 *
 * Follows the ACPI specification, chapter 4.8 (fixed hardware), and the PIIX4 data sheet for the layout
 * from PMBASE. There is no SMM: a write of ACPI_ENABLE or ACPI_DISABLE to 0xB2 sets SCI_EN directly, any
 * other value is only latched. Sleeping states but S5 are not offered, so SLP_EN with another type does
 * nothing. GPE0 has no sources. Registers of the PIIX4 beyond these read 0 and ignore writes. */
#include "core/board.h"
#include "dev/port8.h"
#include "dev/ticks.h"

#define PM_HZ 3579545ull
#define PM_BASE 0x600
#define PM_PORTS 64
#define GPE_BASE 0xafe0
#define GPE_PORTS 4
#define APM_BASE 0xb2
#define SCI_GSI 9

enum { REGION_PM, REGION_GPE, REGION_APM };
enum { PM1_STS = 0, PM1_EN = 2, PM1_CNT = 4, PM_TMR = 8 };
enum { GPE_STS = 0, GPE_EN = 2 };

enum {
    STS_TMR = 0x0001,
    STS_PWRBTN = 0x0100,
    STS_MASK = 0x8f31,    /* write 1 to clear */
    EN_MASK = 0x0721,
    CNT_SCI_EN = 0x0001,
    CNT_SLP_TYP = 0x1c00,
    CNT_SLP_TYP_SHIFT = 10,
    CNT_SLP_EN = 0x2000,
    CNT_MASK = 0x1c03,    /* SLP_TYP, BM_RLD, SCI_EN; GBL_RLS and SLP_EN read 0 */
    SLP_TYP_S5 = 5,       /* as the DSDT's \_S5 says */
};

enum { APM_ACPI_ENABLE = 0xf1, APM_ACPI_DISABLE = 0xf0 };

struct acpi_pm {
    uint64_t seen; /* VM ns up to which TMR_STS is right */
    uint16_t sts, en, cnt;
    uint16_t gpe_sts, gpe_en;
    uint8_t apm[2]; /* 0xB2 command, 0xB3 status */
    uint8_t reserved[4];
};

static const struct state_field acpi_pm_fields[] = {
    FIELD(struct acpi_pm, seen, uint64_t),    FIELD(struct acpi_pm, sts, uint16_t),
    FIELD(struct acpi_pm, en, uint16_t),      FIELD(struct acpi_pm, cnt, uint16_t),
    FIELD(struct acpi_pm, gpe_sts, uint16_t), FIELD(struct acpi_pm, gpe_en, uint16_t),
    FIELD(struct acpi_pm, apm, uint8_t),      FIELD(struct acpi_pm, reserved, uint8_t),
};

/* ---- timer ---- */

/* The next time after `now` at which bit 31 of the timer changes, which sets TMR_STS. */
static uint64_t next_carry(uint64_t now)
{
    uint64_t tick = ticks_at(now, PM_HZ);

    return ns_of_tick(((tick >> 31) + 1) << 31, PM_HZ);
}

static void catch_up(struct acpi_pm *p, uint64_t now)
{
    if (next_carry(p->seen) <= now)
        p->sts |= STS_TMR;
    p->seen = now;
}

static bool sci_level(const struct acpi_pm *p)
{
    return (p->cnt & CNT_SCI_EN) && ((p->sts & p->en & EN_MASK) || (p->gpe_sts & p->gpe_en));
}

/* ---- registers, byte by byte ---- */

static uint8_t byte_of(uint32_t reg, unsigned off)
{
    return (uint8_t)(reg >> (8 * off));
}

static void set_byte(uint16_t *reg, unsigned off, uint8_t value, uint16_t mask)
{
    unsigned shift = 8 * off;
    uint16_t lane = (uint16_t)(0xff << shift) & mask;

    *reg = (uint16_t)((*reg & ~lane) | ((value << shift) & lane));
}

static void clear_byte(uint16_t *reg, unsigned off, uint8_t value, uint16_t mask)
{
    *reg &= (uint16_t)~((value << (8 * off)) & mask);
}

static uint8_t read_pm(const struct acpi_pm *p, unsigned off, uint64_t now)
{
    switch (off & ~1u) {
    case PM1_STS: return byte_of(p->sts, off & 1);
    case PM1_EN: return byte_of(p->en, off & 1);
    case PM1_CNT: return byte_of(p->cnt, off & 1);
    case PM_TMR:
    case PM_TMR + 2: return byte_of((uint32_t)ticks_at(now, PM_HZ), off & 3);
    default: return 0;
    }
}

static void write_cnt(struct dev *d, unsigned off, uint8_t value)
{
    struct acpi_pm *p = d->state;

    set_byte(&p->cnt, off, value, CNT_MASK);
    if (off == 1 && (value << 8 & CNT_SLP_EN) && (p->cnt & CNT_SLP_TYP) >> CNT_SLP_TYP_SHIFT == SLP_TYP_S5)
        board_request(d->board, VMK_REQ_POWEROFF, 0);
}

static void write_pm(struct dev *d, unsigned off, uint8_t value)
{
    struct acpi_pm *p = d->state;

    switch (off & ~1u) {
    case PM1_STS: clear_byte(&p->sts, off & 1, value, STS_MASK); break;
    case PM1_EN: set_byte(&p->en, off & 1, value, EN_MASK); break;
    case PM1_CNT: write_cnt(d, off & 1, value); break;
    default: break;
    }
}

static void write_gpe(struct acpi_pm *p, unsigned off, uint8_t value)
{
    if (off < GPE_EN)
        clear_byte(&p->gpe_sts, off, value, 0xffff);
    else
        set_byte(&p->gpe_en, off & 1, value, 0xffff);
}

static void write_apm(struct acpi_pm *p, unsigned off, uint8_t value)
{
    p->apm[off & 1] = value;
    if (off != 0)
        return;
    if (value == APM_ACPI_ENABLE)
        p->cnt |= CNT_SCI_EN;
    else if (value == APM_ACPI_DISABLE)
        p->cnt &= (uint16_t)~CNT_SCI_EN;
}

/* ---- on the bus ---- */

static void acpi_pm_update(struct dev *d)
{
    irq_set(d->board, SCI_GSI, 0, sci_level(d->state));
}

static uint8_t acpi_pm_read8(struct dev *d, unsigned region, unsigned off)
{
    struct acpi_pm *p = d->state;

    if (region == REGION_APM)
        return p->apm[off & 1];
    if (region == REGION_GPE)
        return byte_of(off < GPE_EN ? p->gpe_sts : p->gpe_en, off & 1);
    return read_pm(p, off, board_now(d->board));
}

/* The timer must not tick between the bytes of one access, so it alone is read whole. */
static uint64_t acpi_pm_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    uint64_t now = board_now(d->board);

    if (region == REGION_PM && off == PM_TMR && size == 4)
        return (uint32_t)ticks_at(now, PM_HZ);
    catch_up(d->state, now);
    uint64_t value = port8_read(d, region, off, size, acpi_pm_read8);
    acpi_pm_update(d);
    return value;
}

static void acpi_pm_write8(struct dev *d, unsigned region, unsigned off, uint8_t value)
{
    if (region == REGION_APM)
        write_apm(d->state, off, value);
    else if (region == REGION_GPE)
        write_gpe(d->state, off, value);
    else
        write_pm(d, off, value);
}

static void acpi_pm_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    catch_up(d->state, board_now(d->board));
    port8_write(d, region, off, size, value, acpi_pm_write8);
    acpi_pm_update(d);
}

static void acpi_pm_event(struct dev *d, const struct inbox_msg *msg)
{
    struct acpi_pm *p = d->state;

    if (msg->kind != INBOX_POWER_BUTTON)
        return;
    p->sts |= STS_PWRBTN;
    acpi_pm_update(d);
}

static uint64_t acpi_pm_deadline(struct dev *d)
{
    const struct acpi_pm *p = d->state;
    bool wanted = (p->cnt & CNT_SCI_EN) && (p->en & STS_TMR) && !(p->sts & STS_TMR);

    return wanted ? next_carry(p->seen) : DEV_NEVER;
}

static void acpi_pm_tick(struct dev *d, uint64_t now)
{
    catch_up(d->state, now);
    acpi_pm_update(d);
}

static int acpi_pm_init(struct dev *d)
{
    int rc = bus_claim_ports(d, REGION_PM, PM_BASE, PM_PORTS);

    if (!rc)
        rc = bus_claim_ports(d, REGION_GPE, GPE_BASE, GPE_PORTS);
    return rc ? rc : bus_claim_ports(d, REGION_APM, APM_BASE, 2);
}

static void acpi_pm_reset(struct dev *d)
{
    struct acpi_pm *p = d->state;

    *p = (struct acpi_pm){.seen = board_now(d->board)};
    acpi_pm_update(d);
}

const struct dev_class acpi_pm_class = {
    .name = "acpi_pm",
    .version = 1,
    .size = sizeof(struct acpi_pm),
    .fields = acpi_pm_fields,
    .nfields = sizeof(acpi_pm_fields) / sizeof(acpi_pm_fields[0]),
    .init = acpi_pm_init,
    .reset = acpi_pm_reset,
    .read = acpi_pm_read,
    .write = acpi_pm_write,
    .event = acpi_pm_event,
    .deadline = acpi_pm_deadline,
    .tick = acpi_pm_tick,
    .restored = acpi_pm_update,
};
