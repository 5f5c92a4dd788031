/* The 8254x between its files: state, and what each part offers the others.
 *
 * e1000.c on the bus - e1000_regs.c the register table - e1000_irq.c causes, throttling, the pin -
 * e1000_eeprom.c - e1000_phy.c the PHY and the link - e1000_tx.c and e1000_offload.c frames out - e1000_rx.c
 * and e1000_filter.c frames in - e1000_stats.c. */
#ifndef VMK_DEV_E1000_H
#define VMK_DEV_E1000_H

#include "core/board.h"
#include "dev/e1000_regs.h"
#include "io/pci.h"
#include "io/pci_msi.h"
#include "net/port.h"

#define E1000_BAR_BYTES 0x20000u
#define E1000_INDEXED 0x6000u /* registers lie below; what lies above is memory of the chip that reads 0 */
#define E1000_FCS 4
#define E1000_PACKET_MAX 66560u /* 64 KiB to be segmented, and its headers */

enum { E1000_PLAIN = 0, E1000_TSO = 1 }; /* the two offload contexts */

struct e1000 {
    uint64_t context[2][2];   /* context descriptors as the guest wrote them; plain, segmentation */
    uint64_t irq_from;        /* throttling: the pin stays low until then */
    uint64_t tx_until;        /* when the wire has sent what was fetched */
    uint64_t txdw_due, txdw_latest, rxt0_due, rxt0_latest; /* delayed causes, or DEV_NEVER */
    uint64_t link_due;        /* when auto-negotiation ends, or DEV_NEVER */
    uint32_t reg[E1000_WORDS];
    uint32_t io_address;      /* IOADDR */
    uint32_t wire_in;         /* microwire: bits shifted in since chip select */
    uint16_t eeprom[E1000_EEPROM_WORDS];
    uint16_t phy[E1000_PHY_REGS];
    uint16_t wire_out;        /* bits to come out, next one on top */
    uint8_t wire_bits;        /* how many came in */
    uint8_t wire_writable;    /* EWEN was given */
    uint8_t wire_level;       /* DO */
    uint8_t tx_more;          /* fetching stopped for time, not for want of descriptors */
    uint8_t tx_dropping;      /* the rest of a packet too long to be one */
    uint8_t pin;              /* the interrupt is asserted */
    uint8_t link_up, link_lost; /* lost: the PHY's latch has not been read since */
    uint8_t reserved[2];
};

struct e1000_reg {
    uint16_t offset, count;   /* bytes into the BAR; how many registers of 4 bytes */
    uint16_t word;
    uint32_t reset, writable;
    uint32_t (*read)(struct dev *d, unsigned word);            /* NULL: as stored */
    void (*write)(struct dev *d, unsigned word, uint32_t value); /* NULL: stored */
};

struct e1000_tx_desc {
    uint64_t address;
    uint32_t command, status; /* dwords 2 and 3 */
};

/* The host's side of a NIC. */
struct e1000_host {
    struct pci_func *func;
    struct net_port *port;
    struct pci_info info;
    struct pci_reg config[12];
    uint8_t row[E1000_INDEXED / 4]; /* 1 + row of e1000_regs[] by register, 0 for none */
    uint8_t packet[E1000_PACKET_MAX], frame[NET_FRAME_MAX + 8]; /* scratch within one call */
};

static inline struct e1000 *e1000_of(const struct dev *d) { return d->state; }
static inline struct e1000_host *e1000_host(const struct dev *d) { return d->host; }

/* e1000_regs.c */
extern const struct e1000_reg e1000_regs[];
extern const unsigned e1000_reg_count;
uint32_t e1000_get(struct dev *d, uint32_t offset);
void e1000_put(struct dev *d, uint32_t offset, uint32_t value);
void e1000_load_defaults(struct dev *d);
/* CTRL.RST: all but the EEPROM and the PHY. */
void e1000_soft_reset(struct dev *d);

/* e1000_irq.c */
void e1000_irq_drive(struct dev *d);
void e1000_cause(struct dev *d, uint32_t causes);
void e1000_cause_tx(struct dev *d, bool delayed);
void e1000_cause_rx(struct dev *d);
void e1000_irq_clear(struct dev *d);
uint64_t e1000_irq_deadline(const struct e1000 *s);
void e1000_irq_tick(struct dev *d, uint64_t now);
uint32_t e1000_read_icr(struct dev *d, unsigned word);
uint32_t e1000_read_ics(struct dev *d, unsigned word);
void e1000_write_icr(struct dev *d, unsigned word, uint32_t value);
void e1000_write_ics(struct dev *d, unsigned word, uint32_t value);
void e1000_write_ims(struct dev *d, unsigned word, uint32_t value);
void e1000_write_imc(struct dev *d, unsigned word, uint32_t value);
void e1000_write_rdtr(struct dev *d, unsigned word, uint32_t value);

/* e1000_eeprom.c */
void e1000_eeprom_fill(struct e1000 *s, const struct pci_info *info, const uint8_t mac[6]);
uint32_t e1000_read_eecd(struct dev *d, unsigned word);
void e1000_write_eecd(struct dev *d, unsigned word, uint32_t value);
void e1000_write_eerd(struct dev *d, unsigned word, uint32_t value);

/* e1000_phy.c */
void e1000_phy_reset(struct dev *d);
void e1000_link_power_on(struct dev *d);
void e1000_link_cable(struct dev *d, bool up);
void e1000_link_update(struct dev *d);
unsigned e1000_link_speed(const struct e1000 *s); /* 0: 10, 1: 100, 2: 1000 Mb/s */
uint32_t e1000_read_status(struct dev *d, unsigned word);
void e1000_write_mdic(struct dev *d, unsigned word, uint32_t value);

/* e1000_tx.c */
void e1000_tx_run(struct dev *d);
uint64_t e1000_tx_deadline(const struct e1000 *s);
/* Puts one frame on the wire: tag, padding, statistics, loopback. */
void e1000_tx_frame(struct dev *d, uint8_t *frame, size_t len, const uint8_t *tag);

/* e1000_offload.c */
void e1000_checksum(uint8_t *packet, size_t len, unsigned start, unsigned at, unsigned end, bool udp);
void e1000_checksum_plain(const struct e1000 *s, uint8_t *packet, size_t len, uint32_t options);
void e1000_segment(struct dev *d, size_t len, uint32_t options, const uint8_t *tag);
uint16_t e1000_sum(const uint8_t *bytes, size_t len);

/* e1000_rx.c */
bool e1000_receive(struct dev *d, const uint8_t *frame, size_t len);

/* e1000_filter.c */
bool e1000_too_long(const struct e1000 *s, size_t len);
bool e1000_wants(const struct e1000 *s, const uint8_t *frame, size_t len);
bool e1000_is_tagged(const struct e1000 *s, const uint8_t *frame, size_t len);

/* e1000_stats.c */
void e1000_count(struct e1000 *s, unsigned stat, uint32_t n);
void e1000_count_frame(struct e1000 *s, const uint8_t *frame, size_t len, bool sent);
uint32_t e1000_read_stat(struct dev *d, unsigned word);

#endif
