/* The PIIX3 ISA bridge 00:01.0, which routes PCI interrupts, and the PIIX4 PM function 00:01.3.
 *
 * Follows the Intel 82371SB (PIIX3) and 82371AB (PIIX4) datasheets. The routing registers start as SeaBIOS
 * programs them, {10, 10, 11, 11}, because kernels are also started without firmware and the ACPI _PRT
 * names these lines as hard-wired. The power management ports stay at 0x600 (dev/acpi_pm.c), where the
 * ACPI tables say they are, so PMBASE is read-only. APMC_EN is preset: firmware then takes SMM as set up
 * already, which is right, as there is none. Leaves out: IDE, USB and the SMBus controller (its base reads
 * 0, disabled). */
#include "core/board.h"
#include "io/pci.h"

#define PIRQ_FIRST 0x60 /* PIRQA..PIRQD: bit 7 off, 3:0 ISA line */
#define PIRQ_OFF 0x80
#define PIRQ_SOURCE 28  /* of irq_set: PIRQA is 28, PIRQD 31 */
#define ISA_LINES 16

struct piix3 {
    uint8_t pirq[PCI_PIRQS]; /* levels */
};

static const struct pci_reg isa_regs[] = {
    {PCI_STATUS, 2, 0x0200, 0, 0xf900},
    {0x4c, 1, 0x4d, 0xff, 0},              /* ISA I/O recovery */
    {0x4e, 2, 0x0003, 0xffff, 0},          /* X-bus chip selects */
    {PIRQ_FIRST, 4, 0x0b0b0a0a, 0x8f8f8f8f, 0},
    {0x69, 1, 0x02, 0xfe, 0},              /* top of memory */
    {0x70, 1, 0x80, 0xef, 0},              /* motherboard IRQ */
    {0x76, 2, 0x0c0c, 0x8f8f, 0},          /* motherboard DMA */
    {0x78, 2, 0x0002, 0xffff, 0},
    {0xa0, 1, 0x08, 0x1f, 0},              /* SMI control */
    {0xa8, 1, 0x0f, 0xff, 0},
};

static const struct pci_reg pm_regs[] = {
    {PCI_STATUS, 2, 0x0280, 0, 0xf900},
    {PCI_INT_LINE, 1, 9, 0xff, 0},
    {0x40, 4, 0x601, 0, 0},                /* PMBASE */
    {0x58, 4, 0x02000000, 0xffffffff, 0},  /* DEVACTB: bit 25 APMC_EN */
    {0x80, 1, 1, 0, 0},                    /* PMREGMISC: the ports decode */
    {0x90, 4, 1, 0, 0},                    /* SMBBA */
};

static void isa_written(struct dev *d, struct pci_func *f, unsigned offset, unsigned size);

static const struct pci_info isa_info = {
    .vendor = 0x8086, .device = 0x7000, .class_code = 0x060100, .header = 0x80, .command = 0x0007,
    .regs = isa_regs, .nregs = sizeof(isa_regs) / sizeof(isa_regs[0]), .written = isa_written,
};

static const struct pci_info pm_info = {
    .vendor = 0x8086, .device = 0x7113, .revision = 3, .class_code = 0x068000, .int_pin = 1,
    .regs = pm_regs, .nregs = sizeof(pm_regs) / sizeof(pm_regs[0]),
};

/* The ISA line a routing register names, or 0: lines 0, 1, 2, 8 and 13 belong to the board. */
static unsigned isa_line(uint8_t reg)
{
    const unsigned routable = 0xdef8;
    return !(reg & PIRQ_OFF) && (routable >> (reg & 0xf) & 1) ? reg & 0xf : 0;
}

static void drive(struct dev *d, unsigned pirq)
{
    const struct piix3 *s = d->state;
    unsigned chosen = isa_line((uint8_t)pci_peek(d->host, PIRQ_FIRST + pirq, 1));
    for (unsigned line = 1; line < ISA_LINES; line++)
        irq_set(d->board, line, PIRQ_SOURCE + pirq, line == chosen && s->pirq[pirq]);
}

static void drive_all(struct dev *d)
{
    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++)
        drive(d, pirq);
}

static void route(struct dev *d, unsigned pirq, bool level)
{
    struct piix3 *s = d->state;
    s->pirq[pirq] = level;
    drive(d, pirq);
}

static void isa_written(struct dev *d, struct pci_func *f, unsigned offset, unsigned size)
{
    (void)f;
    if (offset < PIRQ_FIRST + PCI_PIRQS && offset + size > PIRQ_FIRST)
        drive_all(d);
}

static void reset(struct dev *d)
{
    *(struct piix3 *)d->state = (struct piix3){0};
    drive_all(d);
}

/* d->host is the ISA function: its routing registers are what drive() reads. */
static int init(struct dev *d)
{
    d->host = pci_add(d->board, d, PCI_DEVFN(1, 0), &isa_info);
    if (!d->host || !pci_add(d->board, d, PCI_DEVFN(1, 3), &pm_info))
        return VMK_EBUG;
    pci_set_router(d->board, d, route);
    return VMK_OK;
}

static const struct state_field fields[] = {FIELD(struct piix3, pirq, uint8_t)};

const struct dev_class piix3_class = {
    .name = "piix3",
    .version = 1,
    .size = sizeof(struct piix3),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .init = init,
    .reset = reset,
    .restored = drive_all,
};
