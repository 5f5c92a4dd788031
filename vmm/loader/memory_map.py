"""The PC's physical address map for a given amount of RAM, as firmware would report it (e820)."""

from __future__ import annotations

from vmm.errors import UsageError
from vmm.loader.plan import Region, RegionKind

MIB = 1 << 20
GIB = 1 << 30

MIN_MEMORY = 1 * MIB
MAX_MEMORY = 512 * GIB

EBDA_BASE = 0x9FC00
"""Conventional memory ends here; the kibibyte up to 0xA0000 belongs to the BIOS."""

BIOS_BASE = 0xE0000
"""ACPI tables, or the BIOS's shadow, live from here to 1 MiB."""

LOW_RAM_END = 3 * GIB
"""RAM that would reach past this continues at 4 GiB: the last GiB below is PCI and APIC space."""

HIGH_RAM_BASE = 4 * GIB

IOAPIC_BASE, LAPIC_BASE, APIC_SIZE = 0xFEC00000, 0xFEE00000, 0x1000
FLASH_BASE = 0xFFFC0000


def memory_map(memory: int) -> tuple[Region, ...]:
    """Regions of a PC with `memory` bytes of RAM, sorted and disjoint.

    0xA0000..0xE0000 (VGA window, option ROMs) and PCI space are in no region: nothing is there to report.
    Raises UsageError when `memory` is out of range or no multiple of 4 KiB.
    """
    _check(memory)
    low_end = min(memory, LOW_RAM_END)
    regions = [
        Region(0, EBDA_BASE, RegionKind.RAM),
        Region(EBDA_BASE, 0xA0000 - EBDA_BASE, RegionKind.RESERVED),
        Region(BIOS_BASE, MIB - BIOS_BASE, RegionKind.RESERVED),
        Region(MIB, low_end - MIB, RegionKind.RAM),
        Region(IOAPIC_BASE, APIC_SIZE, RegionKind.RESERVED),
        Region(LAPIC_BASE, APIC_SIZE, RegionKind.RESERVED),
        Region(FLASH_BASE, HIGH_RAM_BASE - FLASH_BASE, RegionKind.RESERVED),
        Region(HIGH_RAM_BASE, memory - low_end, RegionKind.RAM),
    ]
    return tuple(region for region in regions if region.size)


def _check(memory: int) -> None:
    if not MIN_MEMORY <= memory <= MAX_MEMORY:
        raise UsageError(
            f"guest memory of {memory} bytes is out of range; give between 1 MiB and {MAX_MEMORY // GIB} GiB"
        )
    if memory % 4096:
        raise UsageError(f"guest memory of {memory} bytes is no multiple of 4096; round it to whole pages")
