/* Port and MMIO maps. Ports: one owner byte each, so a look-up is one load. MMIO: a sorted array and a binary
 * search; a VM has about a dozen ranges. Leaves out RAM and ROM (mem/ram.c) and the local APIC page, which
 * depends on who asks (cpu/mmio.c). */
#include "io/bus.h"

#include <string.h>

#include "core/board.h"

static uint64_t all_ones(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (1ull << (size * 8)) - 1;
}

static void note_access(struct board *b, enum vmk_trace_kind kind, uint64_t addr, uint64_t value,
                        unsigned size)
{
    board_trace(b, kind, 0, addr, value, size);
}

static void note_unclaimed(struct board *b, uint64_t addr, uint64_t value, unsigned size_and_flags)
{
    if (size_and_flags & 0x100)
        b->bus.unclaimed_writes++;
    else
        b->bus.unclaimed_reads++;
    note_access(b, VMK_TRACE_UNCLAIMED, addr, value, size_and_flags);
}

int bus_claim_ports(struct dev *d, unsigned region, uint32_t base, uint32_t count)
{
    struct bus *bus = &d->board->bus;
    unsigned slot = 0;
    if (!count || base + count > BUS_PORTS || base + count < base)
        return board_fail(d->board, VMK_EINVAL, "%s: ports 0x%x+%u do not exist", d->cls->name, base, count);
    for (uint32_t p = base; p < base + count; p++)
        if (bus->port_owner[p])
            return board_fail(d->board, VMK_EBUSY, "%s: port 0x%x belongs to %s", d->cls->name, p,
                              bus->ports[bus->port_owner[p] - 1].dev->cls->name);
    while (slot < bus->nports && bus->ports[slot].dev)
        slot++;
    if (slot == BUS_MAX_RANGES - 1)
        return board_fail(d->board, VMK_EBUSY, "%s: no room for another port range", d->cls->name);
    bus->ports[slot] = (struct bus_range){base, count, d, region};
    if (slot == bus->nports)
        bus->nports++;
    memset(&bus->port_owner[base], (int)slot + 1, count);
    return VMK_OK;
}

void bus_release_ports(struct dev *d, unsigned region)
{
    struct bus *bus = &d->board->bus;
    for (unsigned i = 0; i < bus->nports; i++) {
        struct bus_range *r = &bus->ports[i];
        if (r->dev != d || r->region != region)
            continue;
        memset(&bus->port_owner[r->base], 0, r->size);
        r->dev = NULL;
    }
}

/* Index of the first MMIO range that ends behind addr. */
static unsigned mmio_after(const struct bus *bus, uint64_t addr)
{
    unsigned lo = 0, hi = bus->nmmio;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (bus->mmio[mid].base + (bus->mmio[mid].size - 1) < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int bus_claim_mmio(struct dev *d, unsigned region, uint64_t base, uint64_t size)
{
    struct bus *bus = &d->board->bus;
    unsigned at = mmio_after(bus, base);
    if (!size || base + (size - 1) < base)
        return board_fail(d->board, VMK_EINVAL, "%s: MMIO range 0x%llx+0x%llx wraps", d->cls->name,
                          (unsigned long long)base, (unsigned long long)size);
    if (at < bus->nmmio && bus->mmio[at].base <= base + (size - 1))
        return board_fail(d->board, VMK_EBUSY, "%s: MMIO 0x%llx belongs to %s", d->cls->name,
                          (unsigned long long)base, bus->mmio[at].dev->cls->name);
    if (bus->nmmio == BUS_MAX_RANGES)
        return board_fail(d->board, VMK_EBUSY, "%s: no room for another MMIO range", d->cls->name);
    memmove(&bus->mmio[at + 1], &bus->mmio[at], (bus->nmmio - at) * sizeof(bus->mmio[0]));
    bus->mmio[at] = (struct bus_range){base, size, d, region};
    bus->nmmio++;
    return VMK_OK;
}

void bus_release_mmio(struct dev *d, unsigned region)
{
    struct bus *bus = &d->board->bus;
    unsigned kept = 0;
    for (unsigned i = 0; i < bus->nmmio; i++)
        if (bus->mmio[i].dev != d || bus->mmio[i].region != region)
            bus->mmio[kept++] = bus->mmio[i];
    bus->nmmio = kept;
}

static const struct bus_range *port_range(const struct bus *bus, uint32_t port, unsigned size)
{
    unsigned owner = bus->port_owner[port];
    if (!owner || port + size > BUS_PORTS || bus->port_owner[port + size - 1] != owner)
        return NULL;
    return &bus->ports[owner - 1];
}

static uint32_t range_read(const struct bus_range *r, uint64_t off, unsigned size)
{
    uint64_t value = r->dev->cls->read(r->dev, r->region, off, size);
    dev_rearm(r->dev);
    return (uint32_t)(value & all_ones(size));
}

static void range_write(const struct bus_range *r, uint64_t off, unsigned size, uint64_t value)
{
    struct dev *d = r->dev; /* the write may move or release the range */
    d->cls->write(d, r->region, off, size, value & all_ones(size));
    dev_rearm(d);
}

/* Nobody owns the whole access: byte by byte, unless no byte has an owner. */
static bool port_split(const struct bus *bus, uint32_t port, unsigned size)
{
    for (unsigned i = 0; i < size && size > 1; i++)
        if (port + i < BUS_PORTS && bus->port_owner[port + i])
            return true;
    return false;
}

uint32_t bus_port_read(struct board *b, uint16_t port, unsigned size)
{
    const struct bus_range *r = port_range(&b->bus, port, size);
    uint32_t value = (uint32_t)all_ones(size);
    if (r) {
        value = range_read(r, port - r->base, size);
    } else if (port_split(&b->bus, port, size)) {
        value = 0;
        for (unsigned i = 0; i < size; i++)
            value |= (port + i < BUS_PORTS ? bus_port_read(b, (uint16_t)(port + i), 1) : 0xff) << (8 * i);
        return value;
    } else {
        note_unclaimed(b, port, value, size);
    }
    note_access(b, VMK_TRACE_PORT_READ, port, value, size);
    return value;
}

void bus_port_write(struct board *b, uint16_t port, unsigned size, uint32_t value)
{
    const struct bus_range *r = port_range(&b->bus, port, size);
    if (!r && port_split(&b->bus, port, size)) {
        for (unsigned i = 0; i < size && port + i < BUS_PORTS; i++)
            bus_port_write(b, (uint16_t)(port + i), 1, value >> (8 * i) & 0xff);
        return;
    }
    note_access(b, VMK_TRACE_PORT_WRITE, port, value & all_ones(size), size);
    if (r)
        range_write(r, port - r->base, size, value);
    else
        note_unclaimed(b, port, value, size | 0x100);
}

static const struct bus_range *mmio_range(const struct bus *bus, uint64_t gpa, unsigned size)
{
    unsigned at = mmio_after(bus, gpa);
    if (at == bus->nmmio || bus->mmio[at].base > gpa || gpa + size > bus->mmio[at].base + bus->mmio[at].size)
        return NULL;
    return &bus->mmio[at];
}

uint64_t bus_mmio_read(struct board *b, uint64_t gpa, unsigned size)
{
    const struct bus_range *r = mmio_range(&b->bus, gpa, size);
    uint64_t value = all_ones(size);
    if (r) {
        value &= r->dev->cls->read(r->dev, r->region, gpa - r->base, size);
        dev_rearm(r->dev);
    } else {
        note_unclaimed(b, gpa, value, size | 0x200);
    }
    note_access(b, VMK_TRACE_MMIO_READ, gpa, value, size);
    return value;
}

void bus_mmio_write(struct board *b, uint64_t gpa, unsigned size, uint64_t value)
{
    const struct bus_range *r = mmio_range(&b->bus, gpa, size);
    note_access(b, VMK_TRACE_MMIO_WRITE, gpa, value & all_ones(size), size);
    if (r)
        range_write(r, gpa - r->base, size, value);
    else
        note_unclaimed(b, gpa, value, size | 0x300);
}
