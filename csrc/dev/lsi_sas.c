/* What the SAS1068 says about its ports: extended configuration pages and events.
 *
 * Follows MPI 1.5, sections "SAS configuration pages" and "SAS events". Each target hangs on a phy of its own
 * with the same number; there are no expanders and enclosures. The controller has one device handle, target n
 * has FIRST_HANDLE + n. Drivers build their list of devices from these pages alone, and learn of disks that
 * come and go by events. */
#include <string.h>

#include "dev/lsi_private.h"

enum { SAS_IO_UNIT = 0x10, SAS_EXPANDER = 0x11, SAS_DEVICE = 0x12, SAS_PHY = 0x13, ENCLOSURE = 0x15 };
enum { FORM_NEXT_HANDLE = 0, FORM_BUS_TARGET = 1, FORM_HANDLE = 2 };

#define CONTROLLER_HANDLE 1u
#define FIRST_HANDLE 0x10u
#define NO_DEVICE UINT32_MAX

#define INITIATOR 0x71u              /* end device: SSP, STP and SMP initiator */
#define TARGET 0xc01u                /* end device: directly attached SSP target */
#define PRESENT_MAPPED 0x0003u
#define RATE_3_GBPS 0x09u
#define RATES 0x98u                  /* 1.5 to 3 Gb/s */

#define EVENT_DEVICE_STATUS 0x0f
#define EVENT_LINK_STATUS 0x12
enum { DEVICE_ADDED = 0x03, DEVICE_NOT_RESPONDING = 0x04 };

static uint64_t address_of(const struct dev *d, uint32_t handle)
{
    return 0x5000c29000000000ull | (uint64_t)d->instance << 16 | handle;
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t handle_of(struct dev *d, unsigned target)
{
    return lsi_target_present(d, target) ? FIRST_HANDLE + target : 0;
}

static unsigned io_unit_0(struct dev *d, uint32_t address, uint8_t *p)
{
    (void)address;
    p[0x0c] = LSI_TARGETS;
    for (unsigned phy = 0; phy < LSI_TARGETS; phy++) {
        uint8_t *entry = p + 0x10 + 16 * phy;
        entry[0] = (uint8_t)phy;
        entry[3] = handle_of(d, phy) ? RATE_3_GBPS : 0;
        put32(entry + 4, INITIATOR);
        put16(entry + 8, handle_of(d, phy));
        put16(entry + 10, CONTROLLER_HANDLE);
    }
    return 0x10 + 16 * LSI_TARGETS;
}

static unsigned io_unit_1(struct dev *d, uint32_t address, uint8_t *p)
{
    (void)d, (void)address;
    p[0x10] = LSI_TARGETS;
    for (unsigned phy = 0; phy < LSI_TARGETS; phy++) {
        uint8_t *entry = p + 0x14 + 12 * phy;
        entry[0] = (uint8_t)phy;
        entry[3] = RATES;
        put32(entry + 4, INITIATOR);
    }
    return 0x14 + 12 * LSI_TARGETS;
}

static unsigned phy_0(struct dev *d, uint32_t address, uint8_t *p)
{
    unsigned phy = address & 0xff;
    if (phy >= LSI_TARGETS)
        return 0;
    uint32_t attached = handle_of(d, phy);
    put16(p + 0x08, CONTROLLER_HANDLE);
    if (attached) {
        put64(p + 0x0c, address_of(d, attached));
        put16(p + 0x14, attached);
        put32(p + 0x18, TARGET);
        put32(p + 0x20, RATE_3_GBPS);
    }
    p[0x1c] = p[0x1d] = RATES;
    return 0x24;
}

static unsigned phy_1(struct dev *d, uint32_t address, uint8_t *p)
{
    (void)d, (void)p;
    return (address & 0xff) < LSI_TARGETS ? 0x1c : 0;
}

/* The handle that an address asks for, or NO_DEVICE. */
static uint32_t wanted(struct dev *d, uint32_t address)
{
    uint32_t low = address & 0xffff, handle;
    switch (address >> 28) {
    case FORM_NEXT_HANDLE:
        if (low == 0xffff)
            return CONTROLLER_HANDLE;
        for (handle = low + 1; handle < FIRST_HANDLE + LSI_TARGETS; handle++)
            if (handle >= FIRST_HANDLE && handle_of(d, handle - FIRST_HANDLE))
                return handle;
        return NO_DEVICE;
    case FORM_BUS_TARGET:
        return low >> 8 || low >= LSI_TARGETS || !handle_of(d, low) ? NO_DEVICE : FIRST_HANDLE + low;
    case FORM_HANDLE:
        if (low == CONTROLLER_HANDLE)
            return low;
        return low >= FIRST_HANDLE && low < FIRST_HANDLE + LSI_TARGETS && handle_of(d, low - FIRST_HANDLE)
                   ? low : NO_DEVICE;
    default: return NO_DEVICE;
    }
}

static unsigned device_0(struct dev *d, uint32_t address, uint8_t *p)
{
    uint32_t handle = wanted(d, address);
    bool own = handle == CONTROLLER_HANDLE;
    uint8_t phy = own ? 0 : (uint8_t)(handle - FIRST_HANDLE);
    if (handle == NO_DEVICE)
        return 0;
    put64(p + 0x0c, address_of(d, handle));
    put16(p + 0x14, own ? 0 : CONTROLLER_HANDLE);
    p[0x16] = phy;
    put16(p + 0x18, handle);
    p[0x1a] = own ? LSI_TARGETS : phy;
    put32(p + 0x1c, own ? INITIATOR : TARGET);
    put16(p + 0x20, PRESENT_MAPPED);
    p[0x22] = phy;
    put16(p + 0x08, phy); /* slot */
    return 0x24;
}

static unsigned device_1(struct dev *d, uint32_t address, uint8_t *p)
{
    uint32_t handle = wanted(d, address);
    if (handle == NO_DEVICE)
        return 0;
    put64(p + 0x0c, address_of(d, handle));
    put16(p + 0x18, handle);
    p[0x1a] = handle == CONTROLLER_HANDLE ? LSI_TARGETS : (uint8_t)(handle - FIRST_HANDLE);
    return 0x30;
}

static const struct {
    uint8_t type, number, version;
    unsigned (*fill)(struct dev *d, uint32_t address, uint8_t *p); /* bytes, 0: no such page */
} pages[] = {
    {SAS_IO_UNIT, 0, 4, io_unit_0}, {SAS_IO_UNIT, 1, 7, io_unit_1}, {SAS_PHY, 0, 1, phy_0},
    {SAS_PHY, 1, 0, phy_1},         {SAS_DEVICE, 0, 5, device_0},   {SAS_DEVICE, 1, 0, device_1},
};

unsigned lsi_sas_page(struct dev *d, uint8_t type, uint8_t number, uint32_t address,
                      uint8_t page[LSI_SAS_PAGE_BYTES])
{
    memset(page, 0, LSI_SAS_PAGE_BYTES);
    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (pages[i].type != type || pages[i].number != number)
            continue;
        unsigned bytes = pages[i].fill(d, address, page);
        page[0] = pages[i].version;
        page[2] = number;
        page[3] = 0x0f;
        put16(page + 4, bytes / 4);
        page[6] = type;
        return bytes;
    }
    return 0;
}

void lsi_sas_tell(struct dev *d, unsigned target, bool added)
{
    uint32_t handle = FIRST_HANDLE + target;
    uint8_t link[12] = {(uint8_t)target, added ? RATE_3_GBPS << 4 : RATE_3_GBPS};
    uint8_t status[36] = {(uint8_t)target, 0, added ? DEVICE_ADDED : DEVICE_NOT_RESPONDING};
    put16(link + 2, handle);
    put64(link + 4, address_of(d, handle));
    put16(status + 6, handle);
    put32(status + 8, TARGET);
    put16(status + 12, CONTROLLER_HANDLE);
    status[14] = (uint8_t)target;
    put64(status + 16, address_of(d, handle));
    put16(status + 32, 0xffff);
    lsi_event(d, EVENT_LINK_STATUS, link, sizeof(link));
    lsi_event(d, EVENT_DEVICE_STATUS, status, sizeof(status));
}
