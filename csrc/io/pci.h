/* PCI functions: configuration space from tables, BARs that follow the guest's settings, INTx pins.
 *
 * A chip describes its function in a `struct pci_info` and calls pci_add() from its init slot. From then
 * on configuration accesses, BAR sizing, decoding and moving are handled here; the chip sees its BARs as
 * ordinary bus ranges (read/write slots with the region the BAR names), drives its INTx pin with
 * pci_intx(), and asks pci_may_dma() before it touches memory on its own. All configuration bytes live in
 * the PCI host's state, so a function's chip saves nothing of them. */
#ifndef VMK_IO_PCI_H
#define VMK_IO_PCI_H

#include <stdbool.h>
#include <stdint.h>

struct board;
struct dev;
struct pci_func;

#define PCI_FUNCS 32
#define PCI_CONFIG_BYTES 256
#define PCI_BARS 6
#define PCI_DEVFN(slot, fn) ((slot) << 3 | (fn))
#define PCI_PIRQS 4

enum {
    PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
    PCI_REVISION = 0x08, PCI_CLASS = 0x09, PCI_CACHE_LINE = 0x0c, PCI_LATENCY = 0x0d, PCI_HEADER = 0x0e,
    PCI_BAR0 = 0x10, PCI_SUBSYSTEM_VENDOR = 0x2c, PCI_SUBSYSTEM = 0x2e, PCI_CAPABILITIES = 0x34,
    PCI_INT_LINE = 0x3c, PCI_INT_PIN = 0x3d,
};

enum { PCI_CMD_IO = 1, PCI_CMD_MEMORY = 2, PCI_CMD_MASTER = 4, PCI_CMD_NO_INTX = 1 << 10 };
enum { PCI_STATUS_INTX = 1 << 3, PCI_STATUS_CAPABILITIES = 1 << 4 };

/* A 64-bit BAR takes the next one too. */
enum pci_bar_type { PCI_BAR_NONE = 0, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_bar {
    enum pci_bar_type type;
    uint32_t size;    /* a power of two: at least 4 for I/O, 16 for memory */
    unsigned region;  /* what the chip's read and write slots see; unique within the chip and kind of bus */
};

/* Registers behind the standard header: value after reset, bits the guest may set, bits a written 1
 * clears. */
struct pci_reg {
    uint8_t offset, size; /* size 1, 2 or 4 */
    uint32_t reset, writable, clears;
};

struct pci_info {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code;  /* 24 bits: class, subclass, interface */
    uint8_t revision;
    uint8_t header;       /* 0x80 on function 0 of a multi-function device */
    uint8_t int_pin;      /* 1..4 = INTA..INTD, 0 = none */
    uint8_t capabilities; /* offset of the first capability, whose bytes are among `regs`; 0 = none */
    uint16_t command;     /* COMMAND after reset */
    struct pci_bar bar[PCI_BARS];
    const struct pci_reg *regs;
    unsigned nregs;
    /* After the guest wrote configuration bytes [offset, offset + size). May be NULL. Runs on the vCPU
     * thread. A chip that has to do something about its registers after a reset or restore does it in
     * those slots of its own. */
    void (*written)(struct dev *d, struct pci_func *f, unsigned offset, unsigned size);
};

/* While the board is built. NULL with board->error set: no PCI host, devfn taken, or the table does not
 * make sense. `info` must stay valid as long as the board. */
struct pci_func *pci_add(struct board *b, struct dev *owner, unsigned devfn, const struct pci_info *info);

/* The function's INTx pin; no effect without one. */
void pci_intx(struct pci_func *f, bool level);

/* May the function read and write memory now (COMMAND bit 2)? */
bool pci_may_dma(const struct pci_func *f);

/* Little-endian, offset + size <= 256. Neither has side effects: pci_poke sets what the guest could not. */
uint32_t pci_peek(const struct pci_func *f, unsigned offset, unsigned size);
void pci_poke(struct pci_func *f, unsigned offset, unsigned size, uint32_t value);

/* For the PCI host: the state it keeps for us, and the accesses through 0xCF8/0xCFC. */
struct pci_state {
    uint8_t config[PCI_FUNCS][PCI_CONFIG_BYTES];
    uint32_t address;  /* the latch at 0xCF8 */
    uint32_t asserted; /* bit per function: its INTx pin */
};

int pci_host_init(struct dev *host);
void pci_host_destroy(struct dev *host);
void pci_host_reset(struct dev *host);
void pci_host_restored(struct dev *host);
/* Data port accesses: `address` as latched, `byte` 0..3 within its dword, byte + size <= 4. All ones where
 * nothing answers. */
uint32_t pci_config_read(struct dev *host, unsigned byte, unsigned size);
void pci_config_write(struct dev *host, unsigned byte, unsigned size, uint32_t value);

/* For the chip that routes PIRQA..PIRQD (the PIIX3): told when one of the four changes level. */
void pci_set_router(struct board *b, struct dev *router,
                    void (*route)(struct dev *router, unsigned pirq, bool level));

#endif
