"""ACPI tables for the PC platform: written into guest memory where no firmware runs, or handed to SeaBIOS.

`build` gives finished tables at fixed addresses; `for_firmware` gives the same tables with the instructions
by which SeaBIOS places them. Both check the number of processors.
"""

from __future__ import annotations

from typing import NamedTuple

from vmm.errors import UsageError
from vmm.loader.acpi import placement, table_loader
from vmm.loader.acpi.tables import rsdp, tables
from vmm.loader.acpi.wiring import MAX_CPUS

DEFAULT_BASE = 0xE0000
_PAGE = 0x1000
_END_OF_BIOS_AREA = 0x100000


class AcpiTables(NamedTuple):
    """`blobs` are (guest-physical address, bytes, name), the RSDP first; they lie in one reserved range."""

    rsdp_address: int
    rsdp: bytes
    blobs: list[tuple[int, bytes, str]]


def build(cpus: int, base: int = DEFAULT_BASE) -> AcpiTables:
    """Tables for `cpus` processors from `base`, a page address. Guests search for the RSDP at 16-byte steps
    from 0xE0000 to 0xFFFFF. Raises UsageError for a number of processors or an address that cannot be."""
    _check_cpus(cpus)
    if base % _PAGE:
        raise UsageError(f"ACPI tables at {base:#x}: give an address that is a multiple of {_PAGE:#x}")
    all_tables = [rsdp(), *tables(cpus)]
    addresses = {name: base + offset for name, offset in placement.offsets(all_tables).items()}
    blobs = [
        (addresses[table.name], placement.resolve(table, addresses), f"ACPI {table.name}")
        for table in all_tables
    ]
    last, data, _ = blobs[-1]
    if base < _END_OF_BIOS_AREA < last + len(data):
        raise UsageError(
            f"ACPI tables at {base:#x} end at {last + len(data):#x}, past the BIOS area: place lower"
        )
    return AcpiTables(base, blobs[0][1], blobs)


def for_firmware(cpus: int) -> dict[str, bytes]:
    """The fw_cfg files, by name, from which SeaBIOS makes the same tables."""
    _check_cpus(cpus)
    return table_loader.files(rsdp(), tables(cpus))


def _check_cpus(cpus: int) -> None:
    if not 1 <= cpus <= MAX_CPUS:
        raise UsageError(f"{cpus} processors: a machine has 1 to {MAX_CPUS}")
