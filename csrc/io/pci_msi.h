/* Message signalled interrupts of a PCI function: the capability's registers as rows for its `pci_info`,
 * and the message itself.
 *
 * PCI Local Bus 3.0, section 6.8.1: one vector, 64-bit address, no per-vector mask. Left out: MSI-X. */
#ifndef VMK_IO_PCI_MSI_H
#define VMK_IO_PCI_MSI_H

#include <stdbool.h>

#include "io/pci.h"

#define PCI_MSI_REGS 5

/* Fills PCI_MSI_REGS rows of a register table for a capability at `offset` followed by the one at `next`.
 */
void pci_msi_rows(struct pci_reg rows[PCI_MSI_REGS], unsigned offset, unsigned next);

/* Has the guest switched MSI on? INTx must then stay quiet. */
bool pci_msi_enabled(const struct pci_func *f, unsigned offset);

/* Sends the message, if MSI is on and bus mastering allowed. */
void pci_msi_fire(struct pci_func *f, unsigned offset);

#endif
