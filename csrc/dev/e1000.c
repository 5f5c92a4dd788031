/* The Intel 8254x gigabit network adapter on the bus: what PCI shows, the two BARs, time and life.
 *
 * Follows the PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (317453),
 * chapters 4 (PCI) and 13 (registers). Two models: the 82545EM as VMware shows it, the default, and the
 * 82540EM. Left out: the PCI-X capability, the flash and the option ROM (BARs read 0), power states'
 * effect on the chip, the fibre interface, alerting over the network. */
#include "dev/e1000.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOT 3
#define NETWORK_CLASS 0x020000
#define PM_CAPABILITY 0xdc
#define MSI_CAPABILITY 0xf0
#define IO_BYTES 64

enum { REGION_REGISTERS = 0, REGION_PORTS = 1 };
enum { PORT_ADDRESS = 0, PORT_DATA = 4 };

static void config_written(struct dev *d, struct pci_func *f, unsigned offset, unsigned size);

static const struct pci_info models[] = {
    [VMK_NIC_E82545EM] = {
        .vendor = 0x8086, .device = 0x100f, .subsystem_vendor = 0x15ad, .subsystem = 0x0750, .revision = 1,
        .class_code = NETWORK_CLASS, .int_pin = 1, .capabilities = PM_CAPABILITY, .written = config_written,
        .bar = {[0] = {PCI_BAR_MEM64, E1000_BAR_BYTES, REGION_REGISTERS},
                [4] = {PCI_BAR_IO, IO_BYTES, REGION_PORTS}},
    },
    [VMK_NIC_E82540EM] = {
        .vendor = 0x8086, .device = 0x100e, .subsystem_vendor = 0x8086, .subsystem = 0x001e, .revision = 2,
        .class_code = NETWORK_CLASS, .int_pin = 1, .capabilities = PM_CAPABILITY, .written = config_written,
        .bar = {[0] = {PCI_BAR_MEM32, E1000_BAR_BYTES, REGION_REGISTERS},
                [2] = {PCI_BAR_IO, IO_BYTES, REGION_PORTS}},
    },
};

/* The power management capability says that leaving D3 resets nothing, so writing its state is all there
 * is to it. The interrupt line is preset as SeaBIOS would leave it: kernels are also started without
 * firmware. */
static void fill_config(struct e1000_host *h, unsigned slot)
{
    static const uint8_t line[PCI_PIRQS] = {10, 10, 11, 11};
    static const struct pci_reg power[] = {
        {PM_CAPABILITY, 2, 0x01 | MSI_CAPABILITY << 8, 0, 0},
        {PM_CAPABILITY + 2, 2, 0xc822, 0, 0},
        {PM_CAPABILITY + 4, 2, 0x0008, 0x0103, 0x8000},
        {0x3e, 1, 0xff, 0, 0}, /* MIN_GNT */
    };
    const unsigned powers = sizeof(power) / sizeof(power[0]);
    memcpy(h->config, power, sizeof(power));
    pci_msi_rows(h->config + powers, MSI_CAPABILITY, 0);
    h->config[powers + PCI_MSI_REGS] =
        (struct pci_reg){PCI_INT_LINE, 1, line[(slot - 1) % PCI_PIRQS], 0xff, 0};
    h->info.regs = h->config;
    h->info.nregs = powers + PCI_MSI_REGS + 1;
}

/* ---- accesses ---- */

static uint64_t read_ports(struct dev *d, uint64_t off)
{
    struct e1000 *s = e1000_of(d);
    if (off == PORT_ADDRESS)
        return s->io_address;
    return off == PORT_DATA && !(s->io_address & 3) ? e1000_get(d, s->io_address) : 0;
}

static void write_ports(struct dev *d, uint64_t off, unsigned size, uint32_t value)
{
    struct e1000 *s = e1000_of(d);
    if (size != 4)
        return;
    if (off == PORT_ADDRESS)
        s->io_address = value;
    else if (off == PORT_DATA && !(s->io_address & 3))
        e1000_put(d, s->io_address, value);
}

/* Registers are 32 bits wide. Narrower reads see their part of one, narrower writes change nothing; 64
 * bits are two registers. */
static uint64_t e1000_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    uint32_t at = (uint32_t)off & ~3u, shift = (uint32_t)(off & 3) * 8;
    if (shift + size * 8 > 32 && (shift || size != 8))
        return 0;
    if (region == REGION_PORTS)
        return read_ports(d, at) >> shift;
    uint64_t value = e1000_get(d, at) >> shift;
    return size == 8 ? value | (uint64_t)e1000_get(d, at + 4) << 32 : value;
}

static void e1000_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    if (off & 3 || size < 4)
        return;
    if (region == REGION_PORTS) {
        write_ports(d, off, size, (uint32_t)value);
        return;
    }
    e1000_put(d, (uint32_t)off, (uint32_t)value);
    if (size == 8)
        e1000_put(d, (uint32_t)off + 4, (uint32_t)(value >> 32));
}

/* Bus mastering may have come on, and with MSI the interrupt takes another way. */
static void config_written(struct dev *d, struct pci_func *f, unsigned offset, unsigned size)
{
    (void)f, (void)offset, (void)size;
    net_ready(e1000_host(d)->port);
    e1000_tx_run(d);
    e1000_irq_drive(d);
    dev_rearm(d);
}

/* ---- time ---- */

static uint64_t e1000_deadline(struct dev *d)
{
    const struct e1000 *s = e1000_of(d);
    uint64_t due[] = {
        e1000_irq_deadline(s), e1000_tx_deadline(s), s->link_due, net_deadline(e1000_host(d)->port),
    };
    uint64_t first = DEV_NEVER;
    for (unsigned i = 0; i < sizeof(due) / sizeof(due[0]); i++)
        first = due[i] < first ? due[i] : first;
    return first;
}

static void e1000_tick(struct dev *d, uint64_t now)
{
    struct e1000 *s = e1000_of(d);
    if (s->link_due <= now)
        e1000_link_update(d);
    if (e1000_tx_deadline(s) <= now)
        e1000_tx_run(d);
    net_run_due(e1000_host(d)->port, now);
    e1000_irq_tick(d, now);
}

static void e1000_event(struct dev *d, const struct inbox_msg *msg)
{
    if (msg->kind == INBOX_FRAME)
        net_event(e1000_host(d)->port);
}

/* ---- life ---- */

static int bad_config(struct dev *d, const struct vmk_nic_config *nic)
{
    static const uint8_t none[6];
    const uint8_t *mac = nic->mac;
    if (nic->model >= sizeof(models) / sizeof(models[0]))
        return board_fail(d->board, VMK_EINVAL, "NIC %u: there is no model %u", d->instance, nic->model);
    if (mac[0] & 1 || !memcmp(mac, none, 6))
        return board_fail(d->board, VMK_EINVAL, "NIC %u: %02x:%02x:%02x:%02x:%02x:%02x is no unicast address",
                          d->instance, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    return VMK_OK;
}

static void index_registers(struct e1000_host *h)
{
    for (unsigned i = 0; i < e1000_reg_count; i++)
        for (unsigned n = 0; n < e1000_regs[i].count; n++)
            h->row[e1000_regs[i].offset / 4 + n] = (uint8_t)(i + 1);
}

static int e1000_init(struct dev *d)
{
    const struct vmk_nic_config *nic = &d->board->cfg.nic[d->instance];
    unsigned slot = FIRST_SLOT + d->instance;
    int rc = bad_config(d, nic);
    if (rc)
        return rc;
    struct e1000_host *h = d->host = calloc(1, sizeof(*h));
    if (!h)
        return board_fail(d->board, VMK_ENOMEM, "no memory for NIC %u", d->instance);
    h->info = models[nic->model];
    fill_config(h, slot);
    index_registers(h);
    h->func = pci_add(d->board, d, PCI_DEVFN(slot, 0), &h->info);
    h->port = h->func ? net_attach(d->board, d, e1000_receive, e1000_link_cable) : NULL;
    if (!h->port)
        return VMK_EINVAL;
    e1000_eeprom_fill(e1000_of(d), &h->info, nic->mac);
    return VMK_OK;
}

static void e1000_reset(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    e1000_soft_reset(d);
    s->io_address = 0;
    e1000_write_eecd(d, W_EECD, 0);
    s->wire_writable = 0;
    e1000_link_power_on(d);
}

static void e1000_restored(struct dev *d)
{
    e1000_link_update(d);
    e1000_irq_drive(d);
}

static void e1000_destroy(struct dev *d)
{
    if (d->host)
        net_detach(e1000_host(d)->port);
    free(d->host);
}

static const struct state_field fields[] = {
    FIELD(struct e1000, context, uint64_t),
    FIELD(struct e1000, irq_from, uint64_t),     FIELD(struct e1000, tx_until, uint64_t),
    FIELD(struct e1000, txdw_due, uint64_t),     FIELD(struct e1000, txdw_latest, uint64_t),
    FIELD(struct e1000, rxt0_due, uint64_t),     FIELD(struct e1000, rxt0_latest, uint64_t),
    FIELD(struct e1000, link_due, uint64_t),     FIELD(struct e1000, reg, uint32_t),
    FIELD(struct e1000, io_address, uint32_t),   FIELD(struct e1000, wire_in, uint32_t),
    FIELD(struct e1000, eeprom, uint16_t),       FIELD(struct e1000, phy, uint16_t),
    FIELD(struct e1000, wire_out, uint16_t),
    FIELD(struct e1000, wire_bits, uint8_t),     FIELD(struct e1000, wire_writable, uint8_t),
    FIELD(struct e1000, wire_level, uint8_t),    FIELD(struct e1000, tx_more, uint8_t),
    FIELD(struct e1000, tx_dropping, uint8_t),   FIELD(struct e1000, pin, uint8_t),
    FIELD(struct e1000, link_up, uint8_t),       FIELD(struct e1000, link_lost, uint8_t),
    FIELD(struct e1000, reserved, uint8_t),
};

const struct dev_class e1000_class = {
    .name = "e1000",
    .version = 1,
    .size = sizeof(struct e1000),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .init = e1000_init,
    .reset = e1000_reset,
    .read = e1000_read,
    .write = e1000_write,
    .event = e1000_event,
    .deadline = e1000_deadline,
    .tick = e1000_tick,
    .restored = e1000_restored,
    .destroy = e1000_destroy,
};
