/* The i440FX host bridge: ports 0xCF8..0xCFF, and function 00:00.0 with the PAM registers.
 *
 * Follows the Intel 82441FX datasheet and PCI configuration mechanism #1. Only a 32-bit write at 0xCF8
 * reaches the address latch; the byte at 0xCF9 is the reset register of dev/sysctl.c. The SMRAM register
 * is storage: there is no SMM, so its window never opens. Without a ROM the PAM segments start as RAM, as
 * firmware would leave them. */
#include <string.h>

#include "core/board.h"
#include "dev/sysctl.h"
#include "io/pci.h"

#define PORTS 0xcf8
#define DATA 4 /* 0xCFC, relative to the claimed base */
#define RESET_REGISTER 1

#define PAM_FIRST 0x59 /* high nibble 0xF0000..0xFFFFF; then two 16 KiB segments per byte from 0xC0000 */
#define PAM_LAST 0x5f
#define PAM_F_SEGMENT 12
#define SMRAM 0x72

static const struct pci_reg host_regs[] = {
    {PCI_STATUS, 2, 0x0200, 0, 0xf900},
    {PAM_FIRST, 1, 0, 0x30, 0},
    {PAM_FIRST + 1, 4, 0, 0x33333333, 0},
    {PAM_FIRST + 5, 2, 0, 0x3333, 0},
    {SMRAM, 1, 0x02, 0x78, 0},
};

static void host_written(struct dev *d, struct pci_func *f, unsigned offset, unsigned size);

/* The subsystem ID is how SeaBIOS recognises a machine whose fw_cfg it may use. */
static const struct pci_info host_info = {
    .vendor = 0x8086, .device = 0x1237, .revision = 2, .class_code = 0x060000,
    .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .command = PCI_CMD_MEMORY | PCI_CMD_MASTER,
    .regs = host_regs, .nregs = sizeof(host_regs) / sizeof(host_regs[0]), .written = host_written,
};

/* The config byte and shift where segment 0..15 has its two bits; the four of 0xF0000 share one pair. */
static unsigned pam_byte(unsigned segment)
{
    return segment < PAM_F_SEGMENT ? PAM_FIRST + 1 + segment / 2 : PAM_FIRST;
}

static unsigned pam_shift(unsigned segment)
{
    return segment < PAM_F_SEGMENT && !(segment & 1) ? 0 : 4;
}

static void host_written(struct dev *d, struct pci_func *f, unsigned offset, unsigned size)
{
    if (offset > PAM_LAST || offset + size <= PAM_FIRST)
        return;
    for (unsigned segment = 0; segment < PAM_SEGMENTS; segment++)
        ram_set_pam(d->board, segment, pci_peek(f, pam_byte(segment), 1) >> pam_shift(segment) & 3);
}

static uint64_t read_byte(struct dev *d, unsigned off)
{
    if (off >= DATA)
        return pci_config_read(d, off - DATA, 1);
    return off == RESET_REGISTER ? sysctl_reset_read(d->board) : 0xff;
}

static uint64_t host_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    const struct pci_state *s = d->state;
    uint64_t value = 0;
    (void)region;
    if (off == 0 && size == 4)
        return s->address;
    if (off >= DATA)
        return pci_config_read(d, (unsigned)off - DATA, size);
    if (size == 1)
        return read_byte(d, (unsigned)off);
    for (unsigned i = 0; i < size; i++)
        value |= (off + i < DATA ? 0xff : read_byte(d, (unsigned)off + i)) << (8 * i);
    return value;
}

/* Partial writes into the latch are dropped: some drivers probe for mechanism #2 with them, and hit the
 * reset register only if they mean it, with one byte. */
static void host_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    struct pci_state *s = d->state;
    (void)region;
    if (off == 0 && size == 4)
        s->address = (uint32_t)value & 0x80fffffc;
    else if (off >= DATA)
        pci_config_write(d, (unsigned)off - DATA, size, (uint32_t)value);
    else if (off == RESET_REGISTER && size == 1)
        sysctl_reset_write(d->board, (uint8_t)value);
    else
        for (unsigned i = 0; i < size; i++)
            if (off + i >= DATA)
                pci_config_write(d, (unsigned)(off + i) - DATA, 1, (uint32_t)(value >> (8 * i)));
}

/* Function 0 was added first, so its registers are config[0]. ram_reset() has just decided what the
 * segments start as. */
static void host_reset(struct dev *d)
{
    struct pci_state *s = d->state;
    pci_host_reset(d);
    for (unsigned segment = 0; segment < PAM_SEGMENTS; segment++)
        s->config[0][pam_byte(segment)] |= (uint8_t)(d->board->ram.pam[segment] << pam_shift(segment));
}

static int host_init(struct dev *d)
{
    int rc = pci_host_init(d);
    if (rc < 0)
        return rc;
    if (!pci_add(d->board, d, PCI_DEVFN(0, 0), &host_info))
        return VMK_EBUG;
    return bus_claim_ports(d, 0, PORTS, 8);
}

static const struct state_field fields[] = {
    FIELD(struct pci_state, config, uint8_t),
    FIELD(struct pci_state, address, uint32_t),
    FIELD(struct pci_state, asserted, uint32_t),
};

const struct dev_class pci_host_class = {
    .name = "pci_host",
    .version = 2,
    .size = sizeof(struct pci_state),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .init = host_init,
    .reset = host_reset,
    .read = host_read,
    .write = host_write,
    .restored = pci_host_restored,
    .destroy = pci_host_destroy,
};
