"""The DSDT's definition block: the PCI host bridge with its windows and interrupt routing, the ISA devices
that are really there, the HPET, the processors, and the S5 sleep state."""

from __future__ import annotations

from vmm.loader.acpi import aml, resources
from vmm.loader.acpi.wiring import (
    FIRST_PCI_ADDRESS,
    HPET_BASE,
    HPET_SIZE,
    LAST_PCI_ADDRESS,
    PCI_SLOTS,
    S5_SLEEP_TYPE,
    pci_gsi,
)

# (name, hardware id, I/O ranges, interrupt line)
_ISA_DEVICES: tuple[tuple[str, str, tuple[tuple[int, int], ...], int], ...] = (
    ("COM1", "PNP0501", ((0x3F8, 8),), 4),
    ("COM2", "PNP0501", ((0x2F8, 8),), 3),
    ("KBD", "PNP0303", ((0x60, 1), (0x64, 1)), 1),
    ("RTC", "PNP0B00", ((0x70, 2),), 8),
    ("TMR", "PNP0100", ((0x40, 4),), 0),
)


def definition_block(cpus: int) -> bytes:
    """AML of the DSDT without its table header, for `cpus` processors with UIDs 0 to cpus - 1."""
    return b"".join(
        (
            # The interrupt controller in use: nothing here depends on it, since every GSI is also an ISA
            # line.
            aml.name("\\PICM", aml.integer(0)),
            aml.method("\\_PIC", 1, aml.store(aml.argument(0), aml.path("\\PICM"))),
            # GRUB and iPXE look for these bytes without an interpreter: the package must stay constant and
            # short.
            aml.name("\\_S5", aml.package(*map(aml.integer, (S5_SLEEP_TYPE, S5_SLEEP_TYPE, 0, 0)))),
            aml.scope("\\_SB", _pci_root(), _hpet(), *map(_processor, range(cpus))),
        )
    )


def _pci_root() -> bytes:
    return aml.device(
        "PCI0",
        aml.name("_HID", aml.eisa_id("PNP0A03")),
        aml.name("_UID", aml.integer(0)),
        aml.name("_BBN", aml.integer(0)),
        aml.name("_CRS", _pci_windows()),
        aml.name("_PRT", _pci_routing()),
        _isa_bridge(),
    )


def _pci_windows() -> bytes:
    """What the host bridge forwards. Linux moves any BAR that lies outside."""
    return resources.template(
        resources.bus_window(0, 0xFF),
        resources.io(0xCF8, 8),
        resources.io_window(0, 0xCF7),
        resources.io_window(0xD00, 0xFFFF),
        resources.memory_window(0xA0000, 0xBFFFF, cacheable=True),
        resources.memory_window(FIRST_PCI_ADDRESS, LAST_PCI_ADDRESS),
    )


def _pci_routing() -> bytes:
    """One row per slot and pin; source 0 makes the last element a GSI, wired and not programmable."""
    rows = (
        aml.package(
            aml.integer(slot << 16 | 0xFFFF),
            aml.integer(pin),
            aml.integer(0),
            aml.integer(pci_gsi(slot, pin)),
        )
        for slot in range(PCI_SLOTS)
        for pin in range(4)
    )
    return aml.package(*rows)


def _isa_bridge() -> bytes:
    devices = (
        aml.device(
            name,
            aml.name("_HID", aml.eisa_id(hardware_id)),
            *([aml.name("_UID", aml.integer(int(name[-1])))] if name[-1].isdigit() else []),
            aml.name(
                "_CRS", resources.template(*(resources.io(*ports) for ports in ranges), resources.irq(line))
            ),
        )
        for name, hardware_id, ranges, line in _ISA_DEVICES
    )
    return aml.device("ISA", aml.name("_ADR", aml.integer(1 << 16)), *devices)


def _hpet() -> bytes:
    # Without its interrupt lines, which in legacy mode are those of the PIT and the RTC.
    registers = resources.template(resources.fixed_memory(HPET_BASE, HPET_SIZE))
    return aml.device("HPET", aml.name("_HID", aml.eisa_id("PNP0103")), aml.name("_CRS", registers))


def _processor(uid: int) -> bytes:
    return aml.device(
        f"C{uid:03X}", aml.name("_HID", aml.string("ACPI0007")), aml.name("_UID", aml.integer(uid))
    )
