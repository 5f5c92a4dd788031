/* PCI configuration space of bus 0, INTx pins and their wired-or to PIRQA..PIRQD.
 *
 * Follows PCI Local Bus Specification 3.0, chapter 6 (header type 0), and the usual PC board wiring: INTx
 * pin p of slot s goes to PIRQ (p - 1 + s - 1) mod 4. BAR decoding is in io/pci_bars.c. Leaves out:
 * bridges (there is one bus), expansion ROM BARs (read 0). MSI is in io/pci_msi.c. */
#include "io/pci.h"

#include <stdlib.h>
#include <string.h>

#include "core/board.h"
#include "io/pci_private.h"

#define COMMAND_WRITABLE 0x0547
#define STATUS_CLEARS 0xf900
#define ADDRESS_ENABLE 0x80000000u

static struct pci *pci_of(struct dev *host)
{
    return host->host;
}

static struct pci *pci_find(struct board *b)
{
    struct dev *host = board_find(b, "pci_host", 0);
    return host ? pci_of(host) : NULL;
}

uint8_t *pci_bytes(const struct pci_func *f)
{
    struct pci_state *s = f->pci->host->state;
    return s->config[f->index];
}

uint32_t pci_peek(const struct pci_func *f, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < size && offset + i < PCI_CONFIG_BYTES; i++)
        value |= (uint32_t)pci_bytes(f)[offset + i] << (8 * i);
    return value;
}

void pci_poke(struct pci_func *f, unsigned offset, unsigned size, uint32_t value)
{
    for (unsigned i = 0; i < size && offset + i < PCI_CONFIG_BYTES; i++)
        pci_bytes(f)[offset + i] = (uint8_t)(value >> (8 * i));
}

bool pci_may_dma(const struct pci_func *f)
{
    return pci_peek(f, PCI_COMMAND, 2) & PCI_CMD_MASTER;
}

static unsigned pirq_of(const struct pci_func *f)
{
    return (f->info->int_pin - 1 + (f->devfn >> 3) - 1) & (PCI_PIRQS - 1);
}

static bool pirq_level(const struct pci *p, unsigned pirq)
{
    const struct pci_state *s = p->host->state;
    for (unsigned i = 0; i < p->count; i++) {
        const struct pci_func *f = &p->func[i];
        bool speaks = (s->asserted >> i & 1) && !(pci_peek(f, PCI_COMMAND, 2) & PCI_CMD_NO_INTX);
        if (speaks && f->info->int_pin && pirq_of(f) == pirq)
            return true;
    }
    return false;
}

static void route(struct pci *p, unsigned pirq)
{
    if (p->router)
        p->route(p->router, pirq, pirq_level(p, pirq));
}

void pci_intx(struct pci_func *f, bool level)
{
    struct pci_state *s = f->pci->host->state;
    uint32_t bit = 1u << f->index;
    if (!f->info->int_pin || level == ((s->asserted & bit) != 0))
        return;
    s->asserted ^= bit;
    uint32_t status = pci_peek(f, PCI_STATUS, 2);
    pci_poke(f, PCI_STATUS, 2, level ? status | PCI_STATUS_INTX : status & ~(uint32_t)PCI_STATUS_INTX);
    route(f->pci, pirq_of(f));
}

void pci_set_router(struct board *b, struct dev *router, void (*route_fn)(struct dev *, unsigned, bool))
{
    struct pci *p = pci_find(b);
    if (p) {
        p->router = router;
        p->route = route_fn;
    }
}

/* A function's registers: three byte masks made once of the standard header and the chip's table. */

static void define(struct pci_func *f, const struct pci_reg *r)
{
    for (unsigned i = 0; i < r->size && r->offset + i < PCI_CONFIG_BYTES; i++) {
        f->reset[r->offset + i] = (uint8_t)(r->reset >> (8 * i));
        f->writable[r->offset + i] = (uint8_t)(r->writable >> (8 * i));
        f->clears[r->offset + i] = (uint8_t)(r->clears >> (8 * i));
    }
}

static void define_all(struct pci_func *f)
{
    const struct pci_info *info = f->info;
    const struct pci_reg standard[] = {
        {PCI_VENDOR, 2, info->vendor, 0, 0},
        {PCI_DEVICE, 2, info->device, 0, 0},
        {PCI_COMMAND, 2, info->command, COMMAND_WRITABLE, 0},
        {PCI_STATUS, 2, info->capabilities ? PCI_STATUS_CAPABILITIES : 0, 0, STATUS_CLEARS},
        {PCI_REVISION, 4, info->class_code << 8 | info->revision, 0, 0},
        {PCI_CACHE_LINE, 1, 0, 0xff, 0},
        {PCI_LATENCY, 1, 0, 0xf8, 0},
        {PCI_HEADER, 1, info->header, 0, 0},
        {PCI_SUBSYSTEM_VENDOR, 2, info->subsystem_vendor, 0, 0},
        {PCI_SUBSYSTEM, 2, info->subsystem, 0, 0},
        {PCI_CAPABILITIES, 1, info->capabilities, 0, 0},
        {PCI_INT_LINE, 1, 0, 0xff, 0},
        {PCI_INT_PIN, 1, info->int_pin, 0, 0},
    };
    for (unsigned i = 0; i < sizeof(standard) / sizeof(standard[0]); i++)
        define(f, &standard[i]);
    pci_bars_define(f);
    for (unsigned i = 0; i < info->nregs; i++)
        define(f, &info->regs[i]);
}

/* NULL if `devfn` can take this function, else what is wrong. */
static const char *objection(const struct pci *p, unsigned devfn, const struct pci_info *info)
{
    if (!p)
        return "the board has no PCI host";
    if (p->count == PCI_FUNCS || devfn > 0xff || info->int_pin > 4)
        return "no place for this function";
    if (!pci_bars_valid(info))
        return "BAR sizes are not powers of two, or a 64-bit BAR has no second half";
    for (unsigned i = 0; i < p->count; i++)
        if (p->func[i].devfn == devfn)
            return "the place is taken";
    return NULL;
}

struct pci_func *pci_add(struct board *b, struct dev *owner, unsigned devfn, const struct pci_info *info)
{
    struct pci *p = pci_find(b);
    const char *wrong = objection(p, devfn, info);
    if (wrong) {
        board_fail(b, VMK_EINVAL, "%s at PCI %02x.%x: %s", owner->cls->name, devfn >> 3, devfn & 7, wrong);
        return NULL;
    }
    struct pci_func *f = &p->func[p->count];
    *f = (struct pci_func){.pci = p, .owner = owner, .info = info, .devfn = devfn, .index = p->count};
    p->count++;
    define_all(f);
    memcpy(pci_bytes(f), f->reset, PCI_CONFIG_BYTES);
    return f;
}

static struct pci_func *addressed(struct dev *host)
{
    const struct pci_state *s = host->state;
    struct pci *p = pci_of(host);
    if (!(s->address & ADDRESS_ENABLE) || s->address >> 16 & 0xff)
        return NULL;
    for (unsigned i = 0; i < p->count; i++)
        if (p->func[i].devfn == (s->address >> 8 & 0xff))
            return &p->func[i];
    return NULL;
}

uint32_t pci_config_read(struct dev *host, unsigned byte, unsigned size)
{
    const struct pci_state *s = host->state;
    const struct pci_func *f = addressed(host);
    return f ? pci_peek(f, (s->address & 0xfc) + byte, size) : 0xffffffff;
}

static bool touches(unsigned offset, unsigned size, unsigned first, unsigned count)
{
    return offset < first + count && first < offset + size;
}

void pci_config_write(struct dev *host, unsigned byte, unsigned size, uint32_t value)
{
    const struct pci_state *s = host->state;
    struct pci_func *f = addressed(host);
    unsigned offset = (s->address & 0xfc) + byte;
    if (!f)
        return;
    for (unsigned i = 0; i < size && offset + i < PCI_CONFIG_BYTES; i++) {
        uint8_t *at = &pci_bytes(f)[offset + i], in = (uint8_t)(value >> (8 * i));
        uint8_t mask = f->writable[offset + i];
        *at = (uint8_t)(((*at & ~mask) | (in & mask)) & ~(in & f->clears[offset + i]));
    }
    if (touches(offset, size, PCI_COMMAND, 2) || touches(offset, size, PCI_BAR0, 4 * PCI_BARS))
        pci_bars_update(f->pci);
    if (touches(offset, size, PCI_COMMAND, 2) && f->info->int_pin)
        route(f->pci, pirq_of(f));
    if (f->info->written)
        f->info->written(f->owner, f, offset, size);
}

int pci_host_init(struct dev *host)
{
    struct pci *p = calloc(1, sizeof(*p));
    if (!p)
        return board_fail(host->board, VMK_ENOMEM, "no memory for the PCI bus");
    p->host = host;
    host->host = p;
    return VMK_OK;
}

void pci_host_destroy(struct dev *host)
{
    free(host->host);
}

static void drive(struct pci *p)
{
    pci_bars_update(p);
    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++)
        route(p, pirq);
}

/* The functions' chips are reset by the board right after: they set up what depends on their registers
 * themselves. */
void pci_host_reset(struct dev *host)
{
    struct pci *p = pci_of(host);
    struct pci_state *s = host->state;
    s->address = 0;
    s->asserted = 0;
    for (unsigned i = 0; i < p->count; i++)
        memcpy(pci_bytes(&p->func[i]), p->func[i].reset, PCI_CONFIG_BYTES);
    drive(p);
}

void pci_host_restored(struct dev *host)
{
    drive(pci_of(host));
}
