/* The 8254x's PHY, reached through MDIC, and the link.
 *
 * Follows IEEE 802.3 clause 22 and the Marvell 88E1011's status register as drivers read it. The partner
 * offers everything, so auto-negotiation ends with the best the guest advertises; it takes a fixed time,
 * during which the link is down. The MAC's reset leaves the PHY and its link alone. Left out: master and
 * slave, downshift, cable diagnostics, energy detect, and half duplex. */
#include "dev/e1000.h"

#define PHY_ADDRESS 1
#define NEGOTIATION_NS 5000000ull
#define ADV_100 0x0180
#define ADV_1000 0x0300

static const struct {
    uint16_t reset, writable;
} phy_table[E1000_PHY_REGS] = {
    [PHY_CTRL] = {0x1140, 0x7dc0},
    [PHY_STATUS] = {0x7949, 0},
    [PHY_ID1] = {0x0141, 0},
    [PHY_ID2] = {0x0c20, 0},
    [PHY_ADV] = {0x0de1, 0xffff},
    [7] = {0x2001, 0xffff}, /* next page */
    [PHY_1000_CTRL] = {0x0e00, 0xffff},
    [PHY_EXT_STATUS] = {0x3000, 0},
    [PHY_SPEC_CTRL] = {0x0360, 0xffff},
    [18] = {0, 0xffff},     /* interrupt enable: the pin is not connected */
    [20] = {0x0d60, 0xffff}, /* extended control */
    [24] = {0x4100, 0xffff}, /* LEDs */
    [26] = {0x000a, 0},
    [29] = {0, 0x00ff},     /* page of register 30 */
    [30] = {0, 0xffff},
};

/* ---- the link ---- */

static bool negotiating(const struct e1000 *s)
{
    return s->link_due != DEV_NEVER;
}

static bool link_now(struct dev *d)
{
    const struct e1000 *s = e1000_of(d);
    if (s->phy[PHY_CTRL] & PHY_CTRL_POWER_DOWN)
        return false;
    if (s->phy[PHY_CTRL] & PHY_CTRL_LOOPBACK)
        return true;
    return net_link_up(e1000_host(d)->port) && !negotiating(s);
}

void e1000_link_update(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    if (s->link_due <= board_now(d->board))
        s->link_due = DEV_NEVER;
    bool up = link_now(d);
    if (up == s->link_up)
        return;
    s->link_up = up;
    s->link_lost |= !up;
    e1000_cause(d, ICR_LSC);
}

static void negotiate(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    s->link_due = board_now(d->board) + NEGOTIATION_NS;
    e1000_link_update(d);
}

void e1000_link_cable(struct dev *d, bool up)
{
    if (up)
        negotiate(d);
    else
        e1000_link_update(d);
}

/* Negotiation is over by the time a guest looks. */
void e1000_link_power_on(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    for (unsigned i = 0; i < E1000_PHY_REGS; i++)
        s->phy[i] = phy_table[i].reset;
    s->link_due = DEV_NEVER;
    s->link_up = link_now(d);
    s->link_lost = 0;
}

void e1000_phy_reset(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    for (unsigned i = 0; i < E1000_PHY_REGS; i++)
        s->phy[i] = phy_table[i].reset;
    negotiate(d);
}

/* Bits of the control register: 6 is the higher one of the speed, 13 the lower. */
static unsigned forced_speed(uint16_t control)
{
    unsigned speed = (control & PHY_CTRL_SPEED_HIGH ? 2 : 0) | (control & PHY_CTRL_SPEED_LOW ? 1 : 0);
    return speed > 2 ? 2 : speed;
}

unsigned e1000_link_speed(const struct e1000 *s)
{
    if (!(s->phy[PHY_CTRL] & PHY_CTRL_AN))
        return forced_speed(s->phy[PHY_CTRL]);
    if (s->phy[PHY_1000_CTRL] & ADV_1000)
        return 2;
    return s->phy[PHY_ADV] & ADV_100 ? 1 : 0;
}

uint32_t e1000_read_status(struct dev *d, unsigned word)
{
    const struct e1000 *s = e1000_of(d);
    uint32_t speed = e1000_link_speed(s);
    (void)word;
    return STATUS_FD | (s->link_up ? STATUS_LU : 0) | speed << STATUS_SPEED_SHIFT |
           speed << STATUS_ASDV_SHIFT | STATUS_PCI66;
}

/* ---- registers ---- */

/* The link bit shows a loss until it has been read once. */
static uint16_t read_phy_status(struct e1000 *s)
{
    uint16_t value = s->phy[PHY_STATUS];
    if (s->link_up)
        value |= PHY_STATUS_AN_DONE | (s->link_lost ? 0 : PHY_STATUS_LINK);
    s->link_lost = 0;
    return value;
}

static uint16_t read_phy(struct e1000 *s, unsigned reg)
{
    bool done = s->link_up && s->phy[PHY_CTRL] & PHY_CTRL_AN;
    switch (reg) {
    case PHY_STATUS: return read_phy_status(s);
    case PHY_PARTNER: return done ? 0x45e1 : 0;
    case PHY_EXPANSION: return done ? 1 : 0;
    case PHY_1000_STATUS: return done ? 0x3c00 : 0;
    case PHY_SPEC_STATUS: return s->link_up ? (uint16_t)(0x2c00 | e1000_link_speed(s) << 14) : 0;
    default: return s->phy[reg];
    }
}

static void write_phy_control(struct dev *d, uint16_t value)
{
    struct e1000 *s = e1000_of(d);
    uint16_t changed = value ^ s->phy[PHY_CTRL];
    if (value & PHY_CTRL_RESET) {
        e1000_phy_reset(d);
        return;
    }
    s->phy[PHY_CTRL] = value & phy_table[PHY_CTRL].writable;
    if (value & PHY_CTRL_RESTART_AN || changed & (PHY_CTRL_AN | PHY_CTRL_POWER_DOWN | PHY_CTRL_LOOPBACK))
        negotiate(d);
}

static void write_phy(struct dev *d, unsigned reg, uint16_t value)
{
    struct e1000 *s = e1000_of(d);
    uint16_t mask = phy_table[reg].writable;
    if (reg == PHY_CTRL)
        write_phy_control(d, value);
    else
        s->phy[reg] = (uint16_t)((s->phy[reg] & ~mask) | (value & mask));
}

/* Done at once. */
void e1000_write_mdic(struct dev *d, unsigned word, uint32_t value)
{
    struct e1000 *s = e1000_of(d);
    unsigned reg = value >> MDIC_REG_SHIFT & 0x1f, phy = value >> MDIC_PHY_SHIFT & 0x1f;
    bool known = phy == PHY_ADDRESS && (value & MDIC_READ || value & MDIC_WRITE);

    value &= ~(uint32_t)(MDIC_READY | MDIC_ERROR);
    if (!known)
        value |= MDIC_ERROR;
    else if (value & MDIC_READ)
        value = (value & ~0xffffu) | read_phy(s, reg);
    else
        write_phy(d, reg, (uint16_t)value);
    s->reg[word] = value | MDIC_READY;
    if (value & MDIC_INTERRUPT)
        e1000_cause(d, ICR_MDAC);
}
