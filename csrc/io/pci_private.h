/* Between io/pci.c and io/pci_bars.c only: the host's side of the PCI bus. Everything guest-visible is in
 * struct pci_state. */
#ifndef VMK_IO_PCI_PRIVATE_H
#define VMK_IO_PCI_PRIVATE_H

#include "io/pci.h"

struct pci_func {
    struct pci *pci;
    struct dev *owner;
    const struct pci_info *info;
    unsigned devfn, index;
    uint8_t reset[PCI_CONFIG_BYTES], writable[PCI_CONFIG_BYTES], clears[PCI_CONFIG_BYTES];
    uint64_t decoded[PCI_BARS]; /* base the BAR should answer at now, 0 = nowhere */
};

struct pci {
    struct dev *host;
    struct dev *router;
    void (*route)(struct dev *router, unsigned pirq, bool level);
    unsigned count;
    struct pci_func func[PCI_FUNCS];
};

uint8_t *pci_bytes(const struct pci_func *f);

bool pci_bars_valid(const struct pci_info *info);
void pci_bars_define(struct pci_func *f);
/* Makes the buses follow the registers. */
void pci_bars_update(struct pci *p);

#endif
