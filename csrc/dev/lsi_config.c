/* Configuration pages of the LSI Logic adapter, as one table: what there is, how long it is, who fills it.
 *
 * Follows MPI 1.2, chapter 7. What a driver asks of a target's transfers (SCSI device page 1) is stored,
 * and page 0 says that it was agreed to, as far as the port can. Linux copies pages into fixed structs, so
 * lengths are exactly those of its headers. Leaves out what RAID firmware and the BIOS utility read. */
#include <string.h>

#include "dev/lsi_private.h"

enum { IO_UNIT = 0, IOC = 1, SCSI_PORT = 3, SCSI_DEVICE = 4, MANUFACTURING = 9, EXTENDED = 0x0f };
enum { READ_ONLY = 0x00, CHANGEABLE = 0x10 };
enum { ACT_HEADER, ACT_READ, ACT_WRITE, ACT_DEFAULTS, ACT_WRITE_NVRAM, ACT_READ_DEFAULT, ACT_READ_NVRAM };

#define HEADER 4
#define PAGE_MAX 128

/* Port capabilities: packets, double transition, quick arbitration; U320, offset 127; wide. */
#define CAN_IU_DT_QAS 0x00000007u
#define CAN_PERIOD 0x08u
#define CAN_OFFSET 0x7fu
#define CAN_WIDE (1u << 29)
#define PORT_CAPABILITIES (CAN_WIDE | CAN_OFFSET << 16 | CAN_PERIOD << 8 | CAN_IU_DT_QAS)

static bool zeroes(struct dev *d, uint32_t address, uint8_t *p)
{
    return (void)d, (void)address, (void)p, true;
}

static bool io_unit_1(struct dev *d, uint32_t address, uint8_t *p)
{
    (void)d, (void)address;
    put32(p, 0x41); /* one function; no queue-full events */
    return true;
}

static bool io_unit_2(struct dev *d, uint32_t address, uint8_t *p)
{
    (void)d, (void)address;
    put32(p + 4, 0x05050000); /* of the adapter's BIOS */
    return true;
}

static bool ioc_0(struct dev *d, uint32_t address, uint8_t *p)
{
    const struct pci_info *pci = &lsi_host_of(d)->model->pci;
    (void)address;
    put16(p + 8, pci->vendor);
    put16(p + 10, pci->device);
    p[12] = pci->revision;
    put32(p + 16, pci->class_code);
    put16(p + 20, pci->subsystem_vendor);
    put16(p + 22, pci->subsystem);
    return true;
}

static bool ioc_1(struct dev *d, uint32_t address, uint8_t *p)
{
    (void)address;
    memcpy(p, lsi_of(d)->coalescing, sizeof(lsi_of(d)->coalescing));
    return true;
}

static void ioc_1_store(struct dev *d, uint32_t address, const uint8_t *p)
{
    (void)address;
    memcpy(lsi_of(d)->coalescing, p, sizeof(lsi_of(d)->coalescing));
}

static bool port_0(struct dev *d, uint32_t address, uint8_t *p)
{
    (void)d, (void)address;
    put32(p, PORT_CAPABILITIES);
    put32(p + 4, 3); /* low-voltage differential */
    return true;
}

static bool port_1(struct dev *d, uint32_t address, uint8_t *p)
{
    (void)address;
    put32(p, lsi_of(d)->port1_config);
    return true;
}

static void port_1_store(struct dev *d, uint32_t address, const uint8_t *p)
{
    (void)address;
    lsi_of(d)->port1_config = get32(p);
}

static bool port_2(struct dev *d, uint32_t address, uint8_t *p)
{
    (void)d, (void)address;
    put32(p + 4, 0x30 | LSI_OWN_ID); /* all by the master */
    for (unsigned target = 0; target < LSI_TARGETS; target++) {
        uint8_t *entry = p + 8 + 4 * target;
        entry[0] = 10; /* seconds */
        entry[1] = CAN_PERIOD;
        put16(entry + 2, 0x000f); /* disconnects, is looked for, has LUNs, queues */
    }
    return true;
}

static uint32_t agreed(const struct lsi *s, unsigned target)
{
    uint32_t asked = s->requested[target], period = asked >> 8 & 0xff, offset = asked >> 16 & 0xff;
    if (!offset)
        return asked & CAN_WIDE;
    period = period < CAN_PERIOD ? CAN_PERIOD : period;
    offset = offset > CAN_OFFSET ? CAN_OFFSET : offset;
    return (asked & (CAN_WIDE | CAN_IU_DT_QAS)) | offset << 16 | period << 8;
}

static bool device_0(struct dev *d, uint32_t address, uint8_t *p)
{
    if (address % 256 >= LSI_TARGETS)
        return false;
    put32(p, agreed(lsi_of(d), address % 256));
    put32(p + 4, 1);
    return true;
}

static bool device_1(struct dev *d, uint32_t address, uint8_t *p)
{
    if (address % 256 >= LSI_TARGETS)
        return false;
    put32(p, lsi_of(d)->requested[address % 256]);
    put32(p + 8, lsi_of(d)->configuration[address % 256]);
    return true;
}

static void device_1_store(struct dev *d, uint32_t address, const uint8_t *p)
{
    lsi_of(d)->requested[address % LSI_TARGETS] = get32(p);
    lsi_of(d)->configuration[address % LSI_TARGETS] = get32(p + 8);
}

static bool device_zero(struct dev *d, uint32_t address, uint8_t *p)
{
    return (void)d, (void)p, address % 256 < LSI_TARGETS;
}

static bool manufacturing_0(struct dev *d, uint32_t address, uint8_t *p)
{
    const struct lsi_model *m = lsi_host_of(d)->model;
    (void)address;
    strncpy((char *)p, m->chip, 16);
    memcpy(p + 16, "B0", 3);
    strncpy((char *)p + 24, m->board, 16);
    memcpy(p + 40, "VMM", 4);
    return true;
}

enum { ALL = 0, PARALLEL = 1 };

static const struct page {
    uint8_t type, number, version, dwords, attribute, only;
    bool (*fill)(struct dev *d, uint32_t address, uint8_t *after_header);
    void (*store)(struct dev *d, uint32_t address, const uint8_t *after_header);
} pages[] = {
    {IO_UNIT, 0, 0, 3, READ_ONLY, ALL, zeroes, NULL},
    {IO_UNIT, 1, 2, 2, READ_ONLY, ALL, io_unit_1, NULL},
    {IO_UNIT, 2, 2, 8, READ_ONLY, ALL, io_unit_2, NULL},
    {IOC, 0, 1, 7, READ_ONLY, ALL, ioc_0, NULL},
    {IOC, 1, 3, 4, CHANGEABLE, ALL, ioc_1, ioc_1_store},
    {IOC, 4, 0, 2, READ_ONLY, ALL, zeroes, NULL},
    {SCSI_PORT, 0, 2, 3, READ_ONLY, PARALLEL, port_0, NULL},
    {SCSI_PORT, 1, 3, 4, CHANGEABLE, PARALLEL, port_1, port_1_store},
    {SCSI_PORT, 2, 2, 19, READ_ONLY, PARALLEL, port_2, NULL},
    {SCSI_DEVICE, 0, 4, 3, READ_ONLY, PARALLEL, device_0, NULL},
    {SCSI_DEVICE, 1, 5, 4, CHANGEABLE, PARALLEL, device_1, device_1_store},
    {SCSI_DEVICE, 2, 1, 4, READ_ONLY, PARALLEL, device_zero, NULL},
    {SCSI_DEVICE, 3, 1, 3, READ_ONLY, PARALLEL, device_zero, NULL},
    {MANUFACTURING, 0, 0, 19, READ_ONLY, ALL, manufacturing_0, NULL},
};
#define PAGES (sizeof(pages) / sizeof(pages[0]))

static const struct page *page_of(const struct lsi_model *m, uint8_t type, uint8_t number)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (pages[i].type == type && pages[i].number == number && !(pages[i].only == PARALLEL && m->sas))
            return &pages[i];
    return NULL;
}

static bool known_type(uint8_t type)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (pages[i].type == type)
            return true;
    return false;
}

/* The one simple element behind a request: where the page goes to or comes from. */
static uint64_t buffer_of(const uint8_t *request, uint32_t *length)
{
    uint32_t word = get32(request + 0x1c);
    *length = word & 0xffffff;
    return word >> 25 & 1 ? get64(request + 0x20) : get32(request + 0x20);
}

static enum lsi_ioc_status to_host(struct dev *d, const uint8_t *request, const uint8_t *page, unsigned bytes)
{
    uint32_t length;
    uint64_t address = buffer_of(request, &length);
    length = length < bytes ? length : bytes;
    if (length && (!pci_may_dma(lsi_host_of(d)->pci) || ram_write(d->board, address, page, length)))
        return IOC_INVALID_SGL;
    return IOC_SUCCESS;
}

static enum lsi_ioc_status from_host(struct dev *d, const struct page *page, const uint8_t *request)
{
    uint8_t bytes[PAGE_MAX] = {0};
    uint32_t length, whole = page->dwords * 4u;
    uint64_t address = buffer_of(request, &length);
    if (!page->store)
        return IOC_CONFIG_INVALID_ACTION;
    if (length < whole)
        return IOC_CONFIG_INVALID_DATA;
    if (!pci_may_dma(lsi_host_of(d)->pci) || ram_read(d->board, address, bytes, whole))
        return IOC_INVALID_SGL;
    page->store(d, get32(request + 0x18), bytes + HEADER);
    return IOC_SUCCESS;
}

static void set_header(const struct page *page, uint8_t *header)
{
    header[0] = page->version;
    header[1] = page->dwords;
    header[2] = page->number;
    header[3] = page->type | page->attribute;
}

static enum lsi_ioc_status act(struct dev *d, const struct page *page, const uint8_t *request)
{
    uint8_t bytes[PAGE_MAX] = {0};
    set_header(page, bytes);
    if (!page->fill(d, get32(request + 0x18), bytes + HEADER))
        return IOC_CONFIG_INVALID_PAGE;
    switch (request[0x00]) {
    case ACT_HEADER:
    case ACT_DEFAULTS: return IOC_SUCCESS;
    case ACT_READ:
    case ACT_READ_DEFAULT:
    case ACT_READ_NVRAM: return to_host(d, request, bytes, page->dwords * 4u);
    case ACT_WRITE:
    case ACT_WRITE_NVRAM: return from_host(d, page, request);
    default: return IOC_CONFIG_INVALID_ACTION;
    }
}

/* Extended pages are read only. */
static enum lsi_ioc_status act_extended(struct dev *d, const uint8_t *request, uint8_t *reply)
{
    uint8_t page[LSI_SAS_PAGE_BYTES];
    unsigned bytes = lsi_sas_page(d, request[0x06], request[0x16], get32(request + 0x18), page);
    bool reads = request[0x00] == ACT_READ || request[0x00] == ACT_READ_DEFAULT ||
                 request[0x00] == ACT_READ_NVRAM;
    if (!bytes)
        return IOC_CONFIG_INVALID_PAGE;
    memcpy(reply + 0x14, page, 4);
    memcpy(reply + 0x04, page + 4, 3);
    if (reads)
        return to_host(d, request, page, bytes);
    return request[0x00] == ACT_HEADER ? IOC_SUCCESS : IOC_CONFIG_INVALID_ACTION;
}

unsigned lsi_config(struct dev *d, const uint8_t *request, uint8_t reply[LSI_REPLY_BYTES])
{
    uint8_t type = request[0x17] & 0x0f, number = request[0x16];
    const struct page *page = page_of(lsi_host_of(d)->model, type, number);
    enum lsi_ioc_status status = known_type(type) ? IOC_CONFIG_INVALID_PAGE : IOC_CONFIG_INVALID_TYPE;
    lsi_reply_begin(reply, request, 24);
    reply[0x00] = request[0x00];
    memcpy(reply + 0x04, request + 0x04, 3);
    memcpy(reply + 0x14, request + 0x14, 4);
    if (type == EXTENDED && lsi_host_of(d)->model->sas) {
        status = act_extended(d, request, reply);
    } else if (page) {
        status = act(d, page, request);
        set_header(page, reply + 0x14);
    }
    put16(reply + 0x0e, status);
    return 24;
}
