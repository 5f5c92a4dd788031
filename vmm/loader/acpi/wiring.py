"""How the PC is wired, as far as tables tell a guest about it: addresses, interrupt lines, register ports.

The chips decode these same numbers; ACPI and MP tables only repeat them.
"""

from __future__ import annotations

MAX_CPUS = 64

LAPIC_BASE = 0xFEE00000
IOAPIC_BASE = 0xFEC00000
HPET_BASE, HPET_SIZE = 0xFED00000, 0x400
HPET_ID = 0x8086A201
"""The HPET's capability register, low half: Intel, legacy routing, 64 bits, three timers, revision 1."""

FIRST_PCI_ADDRESS, LAST_PCI_ADDRESS = 0xC0000000, 0xFEBFFFFF
"""Where memory BARs may lie: RAM ends at 3 GiB at the latest, the IOAPIC begins behind."""

PM1_EVENT, PM1_CONTROL, PM_TIMER, GPE0 = 0x600, 0x604, 0x608, 0xAFE0
SMI_COMMAND, ACPI_ENABLE, ACPI_DISABLE = 0xB2, 0xF1, 0xF0
RESET_PORT, RESET_VALUE = 0xCF9, 0x06
CMOS_CENTURY = 0x32
SCI_IRQ = 9
S5_SLEEP_TYPE = 5
"""SLP_TYP that the power-management chip takes for "off"."""

PIT_GSI = 2
"""ISA interrupt 0 reaches the IOAPIC at pin 2."""

LEVEL_IRQS = (5, 9, 10, 11)
"""ISA lines that are level triggered, active high: SCI and PCI."""

PCI_SLOTS = 32
POWER_SLOT = 1
_PCI_IRQS = (10, 10, 11, 11)


def pci_gsi(slot: int, pin: int) -> int:
    """GSI, equal to the ISA line, of INTA to INTD (`pin` 0 to 3) in `slot`; the SCI's slot has it on INTA."""
    if slot == POWER_SLOT and pin == 0:
        return SCI_IRQ
    return _PCI_IRQS[(slot + pin - 1) & 3]


def ioapic_id(cpus: int) -> int:
    """The first APIC id after the processors': old kernels want the IOAPIC's to be unique."""
    return cpus
