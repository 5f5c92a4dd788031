"""The MP table (MultiProcessor Specification 1.4, chapter 4), for guests without ACPI: memtest86+,
`acpi=off`.

One floating pointer and, behind it, the configuration table: processors, two buses, the IOAPIC, interrupts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from vmm.errors import UsageError
from vmm.loader.acpi import wiring
from vmm.loader.acpi.placement import complement

DEFAULT_BASE = 0xF0000
"""Guests search 0xF0000 to 0xFFFFF in steps of 16 bytes, after the EBDA and the end of base memory."""

_SPEC_1_4 = 4
_POINTER_SIZE, _HEADER_SIZE = 16, 44
_PROCESSOR, _BUS, _IOAPIC, _IO_INTERRUPT, _LOCAL_INTERRUPT = range(5)
_PCI_BUS, _ISA_BUS = 0, 1
_INT, _NMI, _EXTINT = 0, 1, 3
_ALL_CPUS = 0xFF
_CONFORMING, _ACTIVE_HIGH = 0, 1
# memtest86+ takes only processors whose local APIC version has 1 in its high nibble.
_LAPIC_VERSION, _IOAPIC_VERSION = 0x14, 0x11
_ENABLED, _BOOT_PROCESSOR = 1, 2
_SIGNATURE, _FEATURES = 0x600, 0x201  # family 6; FPU and APIC
_ISA_LINES, _CASCADE = 16, 2
_FIRST_PCI_SLOT = 1


def build(cpus: int, base: int = DEFAULT_BASE) -> list[tuple[int, bytes, str]]:
    """(guest-physical address, bytes, name) of the pointer, at `base`, and of the configuration table.

    Raises UsageError for a number of processors that cannot be or a base that is no multiple of 16."""
    if not 1 <= cpus <= wiring.MAX_CPUS:
        raise UsageError(f"{cpus} processors: a machine has 1 to {wiring.MAX_CPUS}")
    if base % _POINTER_SIZE:
        raise UsageError(f"MP table at {base:#x}: give an address that is a multiple of {_POINTER_SIZE}")
    table_at = base + _POINTER_SIZE
    pointer = struct.pack("<4sIBBBBB3x", b"_MP_", table_at, 1, _SPEC_1_4, 0, 0, 0)
    return [
        (base, _summed(pointer, at=10), "MP floating pointer"),
        (table_at, _configuration(cpus), "MP configuration table"),
    ]


def _configuration(cpus: int) -> bytes:
    # Sorted by type, as the specification demands.
    entries = [
        *_processors(cpus),
        *_buses(),
        struct.pack("<BBBBI", _IOAPIC, wiring.ioapic_id(cpus), _IOAPIC_VERSION, _ENABLED, wiring.IOAPIC_BASE),
        *_io_interrupts(wiring.ioapic_id(cpus)),
        *_local_interrupts(),
    ]
    body = b"".join(entries)
    size = _HEADER_SIZE + len(body)
    oem = (b"VMM".ljust(8), b"PC".ljust(12))
    header = struct.pack(
        "<4sHBB8s12sIHHIHBB",
        b"PCMP",
        size,
        _SPEC_1_4,
        0,
        *oem,
        0,
        0,
        len(entries),
        wiring.LAPIC_BASE,
        0,
        0,
        0,
    )
    return _summed(header + body, at=7)


def _processors(cpus: int) -> Iterator[bytes]:
    for cpu in range(cpus):
        flags = _ENABLED | (_BOOT_PROCESSOR if cpu == 0 else 0)
        yield struct.pack("<BBBBII8x", _PROCESSOR, cpu, _LAPIC_VERSION, flags, _SIGNATURE, _FEATURES)


def _buses() -> Iterator[bytes]:
    for number, kind in ((_PCI_BUS, b"PCI"), (_ISA_BUS, b"ISA")):
        yield struct.pack("<BB6s", _BUS, number, kind.ljust(6))


def _io_interrupts(ioapic: int) -> Iterator[bytes]:
    pci_lines = set()
    for slot in range(_FIRST_PCI_SLOT, wiring.PCI_SLOTS):
        for pin in range(4):
            line = wiring.pci_gsi(slot, pin)
            pci_lines.add(line)
            yield _interrupt(_IO_INTERRUPT, _INT, _ACTIVE_HIGH, _PCI_BUS, slot << 2 | pin, ioapic, line)
    for line in range(_ISA_LINES):
        # A pin listed twice would be both edge and level: the PCI entry is the true one.
        if line != _CASCADE and line not in pci_lines:
            pin = wiring.PIT_GSI if line == 0 else line
            yield _interrupt(_IO_INTERRUPT, _INT, _CONFORMING, _ISA_BUS, line, ioapic, pin)


def _local_interrupts() -> Iterator[bytes]:
    yield _interrupt(_LOCAL_INTERRUPT, _EXTINT, _CONFORMING, _ISA_BUS, 0, 0, 0)
    yield _interrupt(_LOCAL_INTERRUPT, _NMI, _CONFORMING, _ISA_BUS, 0, _ALL_CPUS, 1)


def _interrupt(entry: int, kind: int, flags: int, bus: int, line: int, apic: int, pin: int) -> bytes:
    return struct.pack("<BBHBBBB", entry, kind, flags, bus, line, apic, pin)


def _summed(data: bytes, *, at: int) -> bytes:
    return data[:at] + bytes([complement(data)]) + data[at + 1 :]
