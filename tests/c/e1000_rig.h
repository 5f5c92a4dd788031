/* One 8254x on a board of its own, its BARs opened as firmware would, its cable in a log of frames. */
#ifndef VMK_TESTS_E1000_RIG_H
#define VMK_TESTS_E1000_RIG_H

#include "chipset.h"

#include "dev/e1000_regs.h"
#include "net/port.h"

enum { NIC = 3 << 3, NIC_BAR = 0xf0000000, NIC_PORTS = 0xc000, NIC_LINE = 11 };
enum { TX_RING = 0x10000, RX_RING = 0x20000, TX_DATA = 0x100000, RX_DATA = 0x400000, RING = 16 };
enum {
    CTRL = 0, STATUS = 8, EECD = 0x10, EERD = 0x14, CTRL_EXT = 0x18, MDIC = 0x20, VET = 0x38, ICR = 0xc0,
    ITR = 0xc4, ICS = 0xc8, IMS = 0xd0, IMC = 0xd8, RCTL = 0x100, TCTL = 0x400, PBA = 0x1000, RDBAL = 0x2800,
    RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820, RADV = 0x282c, TDBAL = 0x3800,
    TDBAH = 0x3804, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820, TADV = 0x382c, STATS = 0x4000,
    RXCSUM = 0x5000, MTA = 0x5200, RAL0 = 0x5400, RAH0 = 0x5404, VFTA = 0x5600,
};

static const uint8_t nic_mac[6] = {0x00, 0x0c, 0x29, 0x11, 0x22, 0x33};

#define WIRE_FRAMES 256
static struct wire {
    unsigned count;
    size_t bytes;
    struct { uint8_t bytes[NET_FRAME_MAX]; size_t len; uint64_t when; } frame[WIRE_FRAMES];
} wire;

static void wire_send(void *ctx, const uint8_t *frame, size_t len, uint64_t now)
{
    struct wire *w = ctx;
    w->bytes += len;
    if (w->count++ >= WIRE_FRAMES)
        return;
    memcpy(w->frame[w->count - 1].bytes, frame, len);
    w->frame[w->count - 1].len = len;
    w->frame[w->count - 1].when = now;
}

static const struct net_peer wire_peer = {.send = wire_send, .ctx = &wire};

static inline struct board *nic_board(uint32_t model)
{
    struct vmk_config cfg = {
        .memory = 16 << 20, .rtc_epoch = RIG_EPOCH, .cpus = 1, .time_mode = VMK_TIME_MANUAL,
        .nics = 1, .nic = {{.model = model}},
    };
    memcpy(cfg.nic[0].mac, nic_mac, 6);
    return rig_create_as(&cfg);
}

static inline struct net_port *port(void) { return net_port_of(rig, 0); }
static inline uint32_t reg(uint32_t off) { return (uint32_t)bus_mmio_read(rig, NIC_BAR + off, 4); }
static inline void set(uint32_t off, uint32_t v) { bus_mmio_write(rig, NIC_BAR + off, 4, v); }

static inline void nic_open_bars(void)
{
    bool wide = pci_read(NIC, 2, 2) == 0x100f;
    pci_write(NIC, 0x10, 4, NIC_BAR);
    pci_write(NIC, wide ? 0x20 : 0x18, 4, NIC_PORTS);
    pci_write(NIC, 4, 2, 7);
}

static inline void nic_begin(uint32_t model)
{
    rig = nic_board(model);
    memset(&wire, 0, offsetof(struct wire, frame));
    net_plug(port(), &wire_peer);
    rig_advance(20 * MS); /* the link comes up */
    nic_open_bars();
    reg(ICR);
}

/* One test on a NIC of its own. */
#define RUN_NIC(test)                   \
    do {                                \
        nic_begin(VMK_NIC_E82545EM);    \
        RUN(test);                      \
        rig_end();                      \
    } while (0)

/* ---- transmit ---- */

static inline void tx_ring(unsigned entries)
{
    set(TDLEN, entries * 16), set(TDBAH, 0), set(TDBAL, TX_RING);
    set(TDT, 0), set(TDH, 0), set(TCTL, TCTL_EN | TCTL_PSP);
}

static inline void tx_put(unsigned index, uint64_t address, uint32_t command, uint32_t status)
{
    struct { uint64_t address; uint32_t command, status; } t = {address, command, status};
    ram_write(rig, TX_RING + index * 16, &t, sizeof(t));
}

static inline uint32_t tx_status(unsigned index)
{
    uint32_t status = 0;
    ram_read(rig, TX_RING + index * 16 + 12, &status, 4);
    return status;
}

#define SEND (TXD_EOP | TXD_IFCS | TXD_RS)

/* ---- receive ---- */

static inline void rx_ring(unsigned entries, unsigned given, uint32_t rctl)
{
    for (unsigned i = 0; i < entries; i++) {
        uint64_t desc[2] = {RX_DATA + i * 0x4000, 0};
        ram_write(rig, RX_RING + i * 16, desc, sizeof(desc));
    }
    set(RDLEN, entries * 16), set(RDBAH, 0), set(RDBAL, RX_RING);
    set(RDH, 0), set(RDT, 0), set(RCTL, RCTL_EN | rctl), set(RDT, given);
}

struct rx { uint64_t address; uint16_t length, checksum; uint8_t status, errors; uint16_t special; };

static inline struct rx rx_get(unsigned index)
{
    struct rx r;
    ram_read(rig, RX_RING + index * 16, &r, sizeof(r));
    return r;
}

static inline void give(const uint8_t *frame, size_t len)
{
    CHECK_EQ(net_deliver(port(), frame, len, 0), 0);
    board_run_due(rig);
}

/* A frame of `len` bytes to the address, of type 0x88b5, counting up. */
static inline const uint8_t *frame_to(const uint8_t *to, size_t len)
{
    static uint8_t frame[NET_FRAME_MAX];
    for (size_t i = 0; i < len; i++)
        frame[i] = (uint8_t)i;
    memcpy(frame, to, 6);
    memcpy(frame + 6, "\x02\0\0\0\0\x01\x88\xb5", 8);
    return frame;
}

static inline uint32_t stat(unsigned number) { return reg(STATS + 4 * number); }

#endif
