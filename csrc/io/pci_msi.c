/* Message signalled interrupts: the capability's registers, and what a message does when it arrives.
 *
 * Follows PCI Local Bus Specification 3.0, section 6.8.1, and Intel SDM volume 3, "Message Signalled
 * Interrupts", for the meaning of address and data on a PC. A message to any other address is the ordinary
 * memory write it is on the bus. Left out: MSI-X, several messages, masking. */
#include "io/pci_msi.h"

#include "core/board.h"
#include "io/pci_private.h"

#define CAP_MSI 0x05
#define CONTROL_64BIT 0x0080
#define CONTROL_ENABLE 0x0001
#define CONTROL_WRITABLE 0x0071 /* enable, and how many messages the guest grants: only the first is used */
#define APIC_PAGES 0xfee

enum { CONTROL = 2, ADDRESS = 4, ADDRESS_HIGH = 8, DATA = 12 };

void pci_msi_rows(struct pci_reg rows[PCI_MSI_REGS], unsigned offset, unsigned next)
{
    uint8_t at = (uint8_t)offset;
    rows[0] = (struct pci_reg){at, 2, CAP_MSI | next << 8, 0, 0};
    rows[1] = (struct pci_reg){(uint8_t)(at + CONTROL), 2, CONTROL_64BIT, CONTROL_WRITABLE, 0};
    rows[2] = (struct pci_reg){(uint8_t)(at + ADDRESS), 4, 0, 0xfffffffc, 0};
    rows[3] = (struct pci_reg){(uint8_t)(at + ADDRESS_HIGH), 4, 0, 0xffffffff, 0};
    rows[4] = (struct pci_reg){(uint8_t)(at + DATA), 2, 0, 0xffff, 0};
}

bool pci_msi_enabled(const struct pci_func *f, unsigned offset)
{
    return pci_peek(f, offset + CONTROL, 2) & CONTROL_ENABLE;
}

static void send(struct board *b, uint64_t address, uint32_t data)
{
    if (address >> 20 != APIC_PAGES) {
        (void)ram_write(b, address, &data, sizeof(data)); /* nobody is told that it went nowhere */
        return;
    }
    struct apic_msg msg = {
        .dest = address >> 12 & 0xff, .logical = address >> 2 & 1, .level = data >> 15 & 1,
        .mode = data >> 8 & 7, .vector = (uint8_t)data,
    };
    irq_send(b, &msg);
}

void pci_msi_fire(struct pci_func *f, unsigned offset)
{
    if (!pci_msi_enabled(f, offset) || !pci_may_dma(f))
        return;
    uint64_t high = pci_peek(f, offset + ADDRESS_HIGH, 4), low = pci_peek(f, offset + ADDRESS, 4);
    send(f->pci->host->board, high << 32 | low, pci_peek(f, offset + DATA, 2));
}
