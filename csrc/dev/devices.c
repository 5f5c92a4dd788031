/* The one table of chips: which classes a board has, how many of each, in which order they are built and
 * saved. */
#include "dev/devices.h"

#include "core/board.h"

extern const struct dev_class pci_host_class, piix3_class, pic_class, pit_class, rtc_class, uart_class,
    i8042_class, acpi_pm_class, hpet_class, debugcon_class, debug_exit_class, sysctl_class, ioapic_class,
    lapic_class, vga_class, fw_cfg_class, ide_class, e1000_class, lsilogic_class;

enum { PER_CPU = 1000, PER_NIC, PER_ADAPTER }; /* as many instances as the configuration says */

static const struct {
    const struct dev_class *cls;
    unsigned count;
} board_classes[] = {
    {&pci_host_class, 1}, {&piix3_class, 1},       {&pic_class, 1},        {&pit_class, 1},
    {&rtc_class, 1},      {&uart_class, 2},        {&i8042_class, 1},      {&acpi_pm_class, 1},
    {&hpet_class, 1},     {&debugcon_class, 1},    {&debug_exit_class, 1}, {&sysctl_class, 1},
    {&ioapic_class, 1},   {&lapic_class, PER_CPU}, {&vga_class, 1},        {&fw_cfg_class, 1},
    {&ide_class, 1},      {&e1000_class, PER_NIC}, {&lsilogic_class, PER_ADAPTER},
};

static unsigned instances(const struct board *b, unsigned count)
{
    switch (count) {
    case PER_CPU: return b->cfg.cpus;
    case PER_NIC: return b->cfg.nics;
    case PER_ADAPTER: return b->cfg.scsi_adapters;
    default: return count;
    }
}

int devices_build(struct board *b)
{
    if (b->cfg.nics > BOARD_MAX_NICS)
        return board_fail(b, VMK_EINVAL, "%u NICs: a VM has at most %d", b->cfg.nics, BOARD_MAX_NICS);
    if (b->cfg.scsi_adapters > sizeof(b->cfg.scsi_model) / sizeof(b->cfg.scsi_model[0]))
        return board_fail(b, VMK_EINVAL, "%u SCSI adapters: a VM has at most 4", b->cfg.scsi_adapters);
    for (unsigned i = 0; i < sizeof(board_classes) / sizeof(board_classes[0]); i++) {
        for (unsigned n = 0; n < instances(b, board_classes[i].count); n++)
            if (!board_add(b, board_classes[i].cls))
                return VMK_EINVAL;
    }
    return VMK_OK;
}
