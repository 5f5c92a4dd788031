/* The 8254x's registers as data: where each is, what it resets to, which bits are kept, what else happens.
 *
 * Follows the 8254x Software Developer's Manual, chapter 13. Accepted without effect: LEDs, packet buffer
 * split, inter-packet gap, flow control thresholds, wake-up, management, the diagnostic heads and tails of
 * the packet buffers. Left out (read 0, ignored): the flexible filter tables and the packet buffer itself. */
#include "dev/e1000.h"

#define PACKET_BUFFER_KIB 64

static void write_ctrl(struct dev *d, unsigned word, uint32_t value)
{
    struct e1000 *s = e1000_of(d);
    bool phy_reset = value & ~s->reg[word] & CTRL_PHY_RST;
    s->reg[word] = value & ~(uint32_t)CTRL_RST;
    if (value & CTRL_RST)
        e1000_soft_reset(d);
    if (phy_reset)
        e1000_phy_reset(d);
}

static void load_address(struct e1000 *s)
{
    s->reg[W_RA] = s->eeprom[0] | (uint32_t)s->eeprom[1] << 16;
    s->reg[W_RA + 1] = s->eeprom[2] | RAH_AV;
}

static void write_ctrl_ext(struct dev *d, unsigned word, uint32_t value)
{
    struct e1000 *s = e1000_of(d);
    s->reg[word] = value & ~(uint32_t)CTRL_EXT_EE_RST;
    if (value & CTRL_EXT_EE_RST)
        load_address(s);
}

/* What the receive side does not take is the transmit side's. */
static void write_pba(struct dev *d, unsigned word, uint32_t value)
{
    uint32_t rx = value & 0xffff;
    e1000_of(d)->reg[word] = rx | (rx < PACKET_BUFFER_KIB ? PACKET_BUFFER_KIB - rx : 0) << 16;
}

static void write_and_send(struct dev *d, unsigned word, uint32_t value)
{
    e1000_of(d)->reg[word] = value;
    e1000_tx_run(d);
}

static void write_and_receive(struct dev *d, unsigned word, uint32_t value)
{
    e1000_of(d)->reg[word] = value;
    net_ready(e1000_host(d)->port);
}

static uint32_t read_none(struct dev *d, unsigned word)
{
    (void)d, (void)word;
    return 0;
}

static void write_none(struct dev *d, unsigned word, uint32_t value)
{
    (void)d, (void)word, (void)value;
}

#define ALL 0xffffffffu
#define PLAIN(offset, word, reset, writable) {offset, 1, word, reset, writable, NULL, NULL}

/* One word in two places (CTRL, ICR and ICS, IMS and IMC) resets to the same. */
const struct e1000_reg e1000_regs[] = {
    {0x0000, 1, W_CTRL, 0x00140240, ALL, NULL, write_ctrl},
    {0x0004, 1, W_CTRL, 0x00140240, ALL, NULL, write_ctrl},
    {0x0008, 1, W_CTRL, 0x00140240, 0, e1000_read_status, write_none},
    {0x0010, 1, W_EECD, 0x10, ALL, e1000_read_eecd, e1000_write_eecd},
    {0x0014, 1, W_EERD, EERD_DONE, ALL, NULL, e1000_write_eerd},
    {0x0018, 1, W_CTRL_EXT, 0, ALL, NULL, write_ctrl_ext},
    PLAIN(0x001c, W_FLA, 0, ALL),
    {0x0020, 1, W_MDIC, MDIC_READY, ALL, NULL, e1000_write_mdic},
    PLAIN(0x0028, W_FCAL, 0, ALL),
    PLAIN(0x002c, W_FCAH, 0, 0xffff),
    PLAIN(0x0030, W_FCT, 0, 0xffff),
    PLAIN(0x0038, W_VET, 0, 0xffff),
    {0x00c0, 1, W_ICR, 0, ALL, e1000_read_icr, e1000_write_icr},
    {0x00c4, 1, W_ITR, 0, 0xffff, NULL, NULL},
    {0x00c8, 1, W_ICR, 0, ALL, e1000_read_ics, e1000_write_ics},
    {0x00d0, 1, W_IMS, 0, ALL, NULL, e1000_write_ims},
    {0x00d8, 1, W_IMS, 0, ALL, read_none, e1000_write_imc},
    {0x0100, 1, W_RCTL, 0, ALL, NULL, write_and_receive},
    PLAIN(0x0170, W_FCTTV, 0, ALL),
    PLAIN(0x0178, W_TXCW, 0, ALL),
    {0x0400, 1, W_TCTL, 0, ALL, NULL, write_and_send},
    PLAIN(0x0410, W_TIPG, 0, ALL),
    PLAIN(0x0448, W_TBT, 0, ALL),
    PLAIN(0x0458, W_AIT, 0, ALL),
    PLAIN(0x0e00, W_LEDCTL, 0x07068302, ALL),
    {0x1000, 1, W_PBA, 0x00100030, 0xffff, NULL, write_pba},
    PLAIN(0x1008, W_PBS, 0, ALL),
    PLAIN(0x2160, W_FCRTL, 0, ALL),
    PLAIN(0x2168, W_FCRTH, 0, ALL),
    {0x2410, E1000_FIFO_WORDS, W_RX_FIFO, 0, ALL, NULL, NULL},
    PLAIN(0x2800, W_RDBAL, 0, 0xfffffff0),
    PLAIN(0x2804, W_RDBAH, 0, ALL),
    PLAIN(0x2808, W_RDLEN, 0, 0xfff80),
    PLAIN(0x2810, W_RDH, 0, 0xffff),
    {0x2818, 1, W_RDT, 0, 0xffff, NULL, write_and_receive},
    {0x2820, 1, W_RDTR, 0, RDTR_FPD | 0xffff, NULL, e1000_write_rdtr},
    PLAIN(0x2828, W_RXDCTL, 0, ALL),
    PLAIN(0x282c, W_RADV, 0, 0xffff),
    PLAIN(0x2c00, W_RSRPD, 0, 0xfff),
    {0x3410, E1000_FIFO_WORDS, W_TX_FIFO, 0, ALL, NULL, NULL},
    PLAIN(0x3800, W_TDBAL, 0, 0xfffffff0),
    PLAIN(0x3804, W_TDBAH, 0, ALL),
    PLAIN(0x3808, W_TDLEN, 0, 0xfff80),
    PLAIN(0x3810, W_TDH, 0, 0xffff),
    {0x3818, 1, W_TDT, 0, 0xffff, NULL, write_and_send},
    PLAIN(0x3820, W_TIDV, 0, 0xffff),
    PLAIN(0x3828, W_TXDCTL, 0, ALL),
    PLAIN(0x382c, W_TADV, 0, 0xffff),
    PLAIN(0x3830, W_TSPMT, 0, ALL),
    PLAIN(0x3840, W_TARC0, 0, ALL),
    {0x4000, E1000_STAT_WORDS, W_STAT, 0, 0, e1000_read_stat, write_none},
    PLAIN(0x5000, W_RXCSUM, 0, 0x3ff),
    {0x5200, E1000_MTA_WORDS, W_MTA, 0, ALL, NULL, NULL},
    {0x5400, E1000_RA_WORDS, W_RA, 0, ALL, NULL, NULL},
    {0x5600, E1000_VFTA_WORDS, W_VFTA, 0, ALL, NULL, NULL},
    PLAIN(0x5800, W_WUC, 0, ALL),
    PLAIN(0x5808, W_WUFC, 0, ALL),
    PLAIN(0x5810, W_WUS, 0, ALL),
    PLAIN(0x5820, W_MANC, 0, ALL),
    PLAIN(0x5838, W_IPAV, 0, ALL),
    {0x5840, E1000_WAKE_WORDS, W_WAKE, 0, ALL, NULL, NULL},
    PLAIN(0x5b50, W_SWSM, 0, ALL),
};
const unsigned e1000_reg_count = sizeof(e1000_regs) / sizeof(e1000_regs[0]);

/* The row for an offset, and its word within the state; NULL where there is no register. */
static const struct e1000_reg *find(struct dev *d, uint32_t offset, unsigned *word)
{
    unsigned row = offset < E1000_INDEXED ? e1000_host(d)->row[offset / 4] : 0;
    if (!row)
        return NULL;
    const struct e1000_reg *r = &e1000_regs[row - 1];
    *word = r->word + (offset - r->offset) / 4;
    return r;
}

uint32_t e1000_get(struct dev *d, uint32_t offset)
{
    unsigned word;
    const struct e1000_reg *r = find(d, offset, &word);
    if (!r)
        return 0;
    return r->read ? r->read(d, word) : e1000_of(d)->reg[word];
}

void e1000_put(struct dev *d, uint32_t offset, uint32_t value)
{
    unsigned word;
    const struct e1000_reg *r = find(d, offset, &word);
    if (!r)
        return;
    if (r->write)
        r->write(d, word, value & r->writable);
    else
        e1000_of(d)->reg[word] = value & r->writable;
}

void e1000_load_defaults(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    for (unsigned i = 0; i < e1000_reg_count; i++)
        for (unsigned n = 0; n < e1000_regs[i].count; n++)
            s->reg[e1000_regs[i].word + n] = e1000_regs[i].reset;
    load_address(s);
}

/* Done at once. Nothing the guest set before may still interrupt, send or receive. */
void e1000_soft_reset(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    e1000_load_defaults(d);
    e1000_irq_clear(d);
    for (unsigned i = 0; i < 2; i++)
        s->context[i][0] = s->context[i][1] = 0;
    s->tx_more = s->tx_dropping = 0;
    s->tx_until = 0;
    net_ready(e1000_host(d)->port);
}
