/* Base address registers: sizing, and keeping the buses' claims equal to what the registers say.
 *
 * Follows PCI Local Bus Specification 3.0, section 6.2.5. When any BAR's decoded base changes, all are
 * given back and claimed anew in the functions' order. So which of two overlapping BARs wins is a function
 * of the registers alone, and not of the order in which the guest wrote them; that has to hold for a
 * restored VM too. Chips at fixed addresses claimed first and win; RAM never reaches the bus and wins. A
 * BAR at address 0 is taken as unset. */
#include "core/board.h"
#include "io/pci_private.h"

#define MEM64 4u
#define IO_SPACE 1u
#define LARGEST_IO 256 /* the specification allows a function no more */

static bool bar_is_wide(const struct pci_bar *bar)
{
    return bar->type == PCI_BAR_MEM64;
}

bool pci_bars_valid(const struct pci_info *info)
{
    static const uint32_t smallest[] = {[PCI_BAR_IO] = 4, [PCI_BAR_MEM32] = 16, [PCI_BAR_MEM64] = 16};
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &info->bar[i];
        if (bar->type == PCI_BAR_NONE)
            continue;
        if (bar->size & (bar->size - 1) || bar->size < smallest[bar->type])
            return false;
        if (bar->type == PCI_BAR_IO && bar->size > LARGEST_IO)
            return false;
        if (bar_is_wide(bar) && (i + 1 == PCI_BARS || info->bar[i + 1].type != PCI_BAR_NONE))
            return false;
    }
    return true;
}

static void put32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

void pci_bars_define(struct pci_func *f)
{
    static const uint32_t type_bits[] = {
        [PCI_BAR_IO] = IO_SPACE, [PCI_BAR_MEM32] = 0, [PCI_BAR_MEM64] = MEM64,
    };
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &f->info->bar[i];
        unsigned at = PCI_BAR0 + 4 * i;
        if (bar->type == PCI_BAR_NONE)
            continue;
        put32(&f->reset[at], type_bits[bar->type]);
        put32(&f->writable[at], ~(bar->size - 1));
        if (bar_is_wide(bar))
            put32(&f->writable[at + 4], 0xffffffff);
    }
}

/* Where the registers want BAR i to answer; 0 = nowhere. */
static uint64_t wanted(const struct pci_func *f, unsigned i)
{
    const struct pci_bar *bar = &f->info->bar[i];
    uint32_t command = pci_peek(f, PCI_COMMAND, 2);
    uint64_t low = pci_peek(f, PCI_BAR0 + 4 * i, 4) & ~(bar->size - 1);
    if (bar->type == PCI_BAR_NONE)
        return 0;
    if (bar->type == PCI_BAR_IO)
        return command & PCI_CMD_IO && low + bar->size <= BUS_PORTS ? low : 0;
    if (!(command & PCI_CMD_MEMORY))
        return 0;
    return bar_is_wide(bar) ? low | (uint64_t)pci_peek(f, PCI_BAR0 + 4 * i + 4, 4) << 32 : low;
}

static void release(const struct pci_func *f, unsigned i)
{
    const struct pci_bar *bar = &f->info->bar[i];
    if (bar->type == PCI_BAR_IO)
        bus_release_ports(f->owner, bar->region);
    else if (bar->type != PCI_BAR_NONE)
        bus_release_mmio(f->owner, bar->region);
}

/* A refused claim (an overlap) leaves the BAR silent: the guest's mistake, not an error of ours. */
static void claim(const struct pci_func *f, unsigned i)
{
    const struct pci_bar *bar = &f->info->bar[i];
    if (!f->decoded[i])
        return;
    if (bar->type == PCI_BAR_IO)
        (void)bus_claim_ports(f->owner, bar->region, (uint32_t)f->decoded[i], bar->size);
    else
        (void)bus_claim_mmio(f->owner, bar->region, f->decoded[i], bar->size);
}

static void for_each_bar(struct pci *p, void (*act)(const struct pci_func *f, unsigned bar))
{
    for (unsigned n = 0; n < p->count; n++)
        for (unsigned i = 0; i < PCI_BARS; i++)
            act(&p->func[n], i);
}

void pci_bars_update(struct pci *p)
{
    bool moved = false;
    for (unsigned n = 0; n < p->count; n++) {
        for (unsigned i = 0; i < PCI_BARS; i++) {
            uint64_t base = wanted(&p->func[n], i);
            moved |= base != p->func[n].decoded[i];
            p->func[n].decoded[i] = base;
        }
    }
    if (!moved)
        return;
    for_each_bar(p, release);
    for_each_bar(p, claim);
    p->host->board->cpu->memory_changed(p->host->board->cpu_ctx);
}
