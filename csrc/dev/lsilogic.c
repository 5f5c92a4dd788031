/* The LSI Logic Fusion-MPT adapter: the 53C1030 for parallel SCSI and the SAS1068, at PCI 00:10.0 and up.
 *
 * Follows the Fusion-MPT message passing interface, MPI 1.2 for the 53C1030 and 1.5 for the SAS1068, as the
 * drivers of Linux, FreeBSD and SeaBIOS use it. This file has the system interface registers, the resets and
 * the interrupt pin; lsi_private.h says what is where. Leaves out: firmware upload and download, the
 * diagnostic memory (reads 0), RAID, target mode, LAN. */
#include <stdlib.h>
#include <string.h>

#include "dev/lsi_private.h"

#define FIRST_SLOT 0x10
#define MSI 0x98 /* the capability's place */
#define IO_BYTES 256
#define MEMORY_BYTES 0x20000

enum { REGION_IO, REGION_REGISTERS, REGION_DIAGNOSTIC };

enum { DIAG_RESET = 0x04, DIAG_RESET_HISTORY = 0x20, DIAG_WRITE_ENABLED = 0x80, DIAG_WRITABLE = 0x612 };

#define MODEL_PCI(id, rev)                                                                                   \
    {                                                                                                        \
        .vendor = 0x1000, .device = (id), .subsystem_vendor = 0x15ad, .subsystem = 0x1976,                   \
        .class_code = 0x010000, .revision = (rev), .int_pin = 1,                                             \
        .bar = {{PCI_BAR_IO, IO_BYTES, REGION_IO}, {PCI_BAR_MEM64, MEMORY_BYTES, REGION_REGISTERS}, {0},     \
                {PCI_BAR_MEM64, MEMORY_BYTES, REGION_DIAGNOSTIC}},                                           \
    }

static const struct lsi_model models[] = {
    [VMK_SCSI_LSI53C1030] = {
        .pci = MODEL_PCI(0x0030, 1), .product = 0x0104, .version = 0x0102, .port_type = 0x01,
        .max_devices = LSI_TARGETS, .own_id = LSI_OWN_ID, .protocol = 0x09,
        .chip = "LSI53C1030", .board = "LSI Logic U320",
    },
    [VMK_SCSI_SAS1068] = {
        .pci = MODEL_PCI(0x0054, 1), .product = 0x2102, .version = 0x0105, .port_type = 0x30,
        .max_devices = LSI_TARGETS, .own_id = LSI_TARGETS, .protocol = 0x09, .sas = true,
        .chip = "LSISAS1068", .board = "LSI Logic SAS",
    },
};

/* ---- pins ---- */

void lsi_drive(struct dev *d)
{
    struct lsi *s = lsi_of(d);
    struct pci_func *pci = lsi_host_of(d)->pci;
    bool level = s->int_status & ~s->int_mask & (INT_REPLY | INT_DOORBELL);
    pci_intx(pci, level && !pci_msi_enabled(pci, MSI));
    if (level && !s->int_level)
        pci_msi_fire(pci, MSI);
    s->int_level = level;
}

/* ---- resets ---- */

void lsi_fail(struct dev *d, enum lsi_fault code)
{
    struct lsi *s = lsi_of(d);
    if (s->ioc_state == IOC_FAULT)
        return;
    s->ioc_state = IOC_FAULT;
    s->fault = code;
    lsi_io_stop_all(d);
}

/* Queues empty, commands gone without a word; what was negotiated with the targets stays. */
void lsi_message_unit_reset(struct dev *d)
{
    struct lsi *s = lsi_of(d);
    lsi_io_stop_all(d);
    s->ioc_state = IOC_READY;
    s->fault = 0;
    s->int_status = 0;
    s->handshake = HANDSHAKE_IDLE;
    s->who_init = s->host_high = s->sense_high = s->reply_bytes = s->max_devices = s->max_buses = 0;
    s->events_on = s->event_context = 0;
    s->free_frames = s->posted = (struct lsi_ring){0};
}

void lsi_power_on(struct dev *d)
{
    struct lsi *s = lsi_of(d);
    lsi_message_unit_reset(d);
    s->int_mask = INT_REPLY | INT_DOORBELL;
    s->diagnostic = s->key = s->test_base = s->host_index = 0;
    memset(s->requested, 0, sizeof(s->requested));
    memset(s->configuration, 0, sizeof(s->configuration));
    memset(s->coalescing, 0, sizeof(s->coalescing));
    s->port1_config = 1u << (16 + LSI_OWN_ID) | LSI_OWN_ID;
    lsi_bus_reset(d);
}

/* ---- registers ---- */

/* Five keys in a row open the diagnostic register; whatever is written then closes it. */
static void sequence_write(struct dev *d, uint32_t value)
{
    static const uint8_t keys[] = {4, 0xb, 2, 7, 0xd};
    struct lsi *s = lsi_of(d);
    bool was_open = s->diagnostic & DIAG_WRITE_ENABLED;
    s->diagnostic &= ~(uint32_t)DIAG_WRITE_ENABLED;
    if (was_open || s->key >= sizeof(keys) || (value & 0xf) != keys[s->key]) {
        s->key = !was_open && (value & 0xf) == keys[0];
        return;
    }
    if (++s->key == sizeof(keys)) {
        s->key = 0;
        s->diagnostic |= DIAG_WRITE_ENABLED;
    }
}

/* The bits that a driver wants to see clear after a reset never stick. */
static void diagnostic_write(struct dev *d, uint32_t value)
{
    struct lsi *s = lsi_of(d);
    if (!(s->diagnostic & DIAG_WRITE_ENABLED))
        return;
    if (value & DIAG_RESET) {
        lsi_power_on(d);
        s->diagnostic = DIAG_RESET_HISTORY;
        return;
    }
    s->diagnostic = (value & (DIAG_WRITABLE | DIAG_RESET_HISTORY)) | DIAG_WRITE_ENABLED;
}

static uint32_t zero_read(struct dev *d) { return (void)d, 0; }
static uint32_t ones_read(struct dev *d) { return (void)d, UINT32_MAX; }
static uint32_t diagnostic_read(struct dev *d) { return lsi_of(d)->diagnostic; }
static uint32_t status_read(struct dev *d) { return lsi_of(d)->int_status; }
static uint32_t mask_read(struct dev *d) { return lsi_of(d)->int_mask; }
static uint32_t test_read(struct dev *d) { return lsi_of(d)->test_base; }
static uint32_t index_read(struct dev *d) { return lsi_of(d)->host_index; }
static void status_write(struct dev *d, uint32_t value) { (void)value, lsi_status_write(d); }
static void mask_write(struct dev *d, uint32_t value) { lsi_of(d)->int_mask = value; }
static void test_write(struct dev *d, uint32_t value) { lsi_of(d)->test_base = value; }
static void index_write(struct dev *d, uint32_t value) { lsi_of(d)->host_index = value; }

struct lsi_register {
    uint32_t (*read)(struct dev *d);
    void (*write)(struct dev *d, uint32_t value);
};

static const struct lsi_register registers[] = {
    [0x00 / 4] = {lsi_doorbell_read, lsi_doorbell_write},
    [0x04 / 4] = {zero_read, sequence_write},
    [0x08 / 4] = {diagnostic_read, diagnostic_write},
    [0x0c / 4] = {test_read, test_write},
    [0x10 / 4] = {zero_read, NULL},
    [0x14 / 4] = {zero_read, NULL},
    [0x30 / 4] = {status_read, status_write},
    [0x34 / 4] = {mask_read, mask_write},
    [0x40 / 4] = {ones_read, lsi_request_post},
    [0x44 / 4] = {lsi_reply_pop, lsi_reply_free},
    [0x48 / 4] = {ones_read, lsi_request_post},
    [0x50 / 4] = {index_read, index_write},
};

#define REPLY_FIFO 0x44
#define DOORBELL 0x00

static const struct lsi_register *register_at(unsigned region, uint64_t off)
{
    if (region == REGION_DIAGNOSTIC || off / 4 >= sizeof(registers) / sizeof(registers[0]))
        return NULL;
    return &registers[off / 4];
}

static uint64_t read_dword(struct dev *d, unsigned region, uint64_t off)
{
    const struct lsi_register *r = register_at(region, off);
    uint32_t value = r && r->read ? r->read(d) : 0;
    lsi_drive(d);
    return value;
}

/* Registers are dwords. A part of one may be read where reading has no effect; nobody writes parts. */
static uint64_t lsi_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    bool acts = (off & ~3ull) == REPLY_FIFO || (off & ~3ull) == DOORBELL;
    if (size == 8 && off % 8 == 0)
        return read_dword(d, region, off) | read_dword(d, region, off + 4) << 32;
    if (size == 4 && off % 4 == 0)
        return read_dword(d, region, off);
    if (size > 4 || acts || off % 4 + size > 4)
        return 0;
    return read_dword(d, region, off & ~3ull) >> (off % 4 * 8);
}

static void write_dword(struct dev *d, unsigned region, uint64_t off, uint32_t value)
{
    const struct lsi_register *r = register_at(region, off);
    if (r && r->write)
        r->write(d, value);
    lsi_drive(d);
}

static void lsi_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    if (off % 4 || size < 4)
        return;
    write_dword(d, region, off, (uint32_t)value);
    if (size == 8)
        write_dword(d, region, off + 4, (uint32_t)(value >> 32));
}

/* ---- the class ---- */

static uint64_t lsi_deadline(struct dev *d)
{
    return lsi_bus_deadline(d);
}

static void lsi_tick(struct dev *d, uint64_t now)
{
    lsi_bus_run_due(d, now);
    lsi_drive(d);
}

static void lsi_woken(struct dev *d, const struct inbox_msg *msg)
{
    if (msg->kind == INBOX_WAKE)
        lsi_tick(d, board_now(d->board));
}

static void lsi_reset(struct dev *d)
{
    lsi_power_on(d);
    lsi_drive(d);
}

static void lsi_restored(struct dev *d)
{
    lsi_io_restore(d);
    lsi_drive(d);
}

/* MSI may have been switched on: INTx goes quiet. */
static void config_written(struct dev *d, struct pci_func *f, unsigned offset, unsigned size)
{
    (void)f, (void)size;
    if (offset >= MSI)
        lsi_drive(d);
}

static int lsi_init(struct dev *d)
{
    uint32_t model = d->board->cfg.scsi_model[d->instance];
    if (model >= sizeof(models) / sizeof(models[0]))
        return board_fail(d->board, VMK_EINVAL, "SCSI adapter %u: there is no model %u", d->instance, model);
    struct lsi_host *h = calloc(1, sizeof(*h));
    if (!h)
        return board_fail(d->board, VMK_ENOMEM, "no memory for SCSI adapter %u", d->instance);
    d->host = h;
    h->model = &models[model];
    h->info = h->model->pci;
    pci_msi_rows(h->msi, MSI, 0);
    h->info.capabilities = MSI;
    h->info.regs = h->msi;
    h->info.nregs = PCI_MSI_REGS;
    h->info.written = config_written;
    h->pci = pci_add(d->board, d, PCI_DEVFN(FIRST_SLOT + d->instance, 0), &h->info);
    return h->pci ? VMK_OK : VMK_EINVAL;
}

static void lsi_destroy(struct dev *d)
{
    if (!d->host)
        return;
    lsi_io_stop_all(d);
    lsi_bus_close(d);
    free(d->host);
    d->host = NULL;
}

#define WORD(member) FIELD(struct lsi, member, uint32_t)

static const struct state_field fields[] = {
    WORD(ioc_state), WORD(fault), WORD(int_status), WORD(int_mask), WORD(diagnostic), WORD(key),
    WORD(test_base), WORD(host_index), WORD(int_level), WORD(handshake), WORD(wanted), WORD(have),
    WORD(request), WORD(reply_halves), WORD(reply_next), WORD(reply), WORD(who_init), WORD(host_high),
    WORD(sense_high), WORD(reply_bytes), WORD(max_devices), WORD(max_buses), WORD(events_on),
    WORD(event_context), WORD(port1_config), WORD(coalescing), WORD(requested), WORD(configuration),
    FIELD(struct lsi, sequence, uint64_t), WORD(free_frames), WORD(posted),
    FIELD(struct lsi, unit, uint64_t), FIELD(struct lsi, slot, uint64_t),
};

const struct dev_class lsilogic_class = {
    .name = "lsilogic",
    .version = 1,
    .size = sizeof(struct lsi),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .init = lsi_init,
    .reset = lsi_reset,
    .read = lsi_read,
    .write = lsi_write,
    .event = lsi_woken,
    .deadline = lsi_deadline,
    .tick = lsi_tick,
    .restored = lsi_restored,
    .destroy = lsi_destroy,
};
