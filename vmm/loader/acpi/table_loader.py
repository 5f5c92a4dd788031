"""The fw_cfg file `etc/table-loader`: commands by which SeaBIOS allocates, links and checksums ACPI tables.

A command is 128 bytes, little-endian: a number and its operands; file names take 56 bytes. Pointers hold the
offset in the file they point into until ADD_POINTER adds that file's address; sums come last.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from vmm.loader.acpi import placement
from vmm.loader.acpi.tables import Table

LOADER_FILE, TABLES_FILE, RSDP_FILE = "etc/table-loader", "etc/acpi/tables", "etc/acpi/rsdp"
COMMAND_SIZE = 128
ALLOCATE, ADD_POINTER, ADD_CHECKSUM = 1, 2, 3
ZONE_HIGH, ZONE_F_SEGMENT = 1, 2


def files(root: Table, tables: Sequence[Table]) -> dict[str, bytes]:
    """The three files, by name, for root pointer `root` and the `tables` it leads to."""
    at = placement.offsets(tables)
    image = bytearray(placement.concatenate(tables, at))
    for table in tables:
        _store_offsets(image, table, at[table.name], at)
    root_image = bytearray(root.data)
    _store_offsets(root_image, root, 0, at)
    commands = [_allocate(TABLES_FILE, max(table.align for table in tables), ZONE_HIGH)]
    commands.append(_allocate(RSDP_FILE, root.align, ZONE_F_SEGMENT))
    for table in tables:
        commands += _link(TABLES_FILE, table, at[table.name])
    commands += _link(RSDP_FILE, root, 0)
    return {LOADER_FILE: b"".join(commands), TABLES_FILE: bytes(image), RSDP_FILE: bytes(root_image)}


def _store_offsets(image: bytearray, table: Table, base: int, at: dict[str, int]) -> None:
    for pointer in table.pointers:
        struct.pack_into(
            placement.POINTER_FORMAT[pointer.size], image, base + pointer.offset, at[pointer.target]
        )


def _link(file: str, table: Table, base: int) -> Iterator[bytes]:
    """Commands that finish one table, which starts at `base` in `file`."""
    for pointer in table.pointers:
        operands = struct.pack(
            "<56s56sIB", file.encode(), TABLES_FILE.encode(), base + pointer.offset, pointer.size
        )
        yield _command(ADD_POINTER, operands)
    for checksum in table.checksums:
        where = (base + checksum.at, base + checksum.start, checksum.length)
        yield _command(ADD_CHECKSUM, struct.pack("<56sIII", file.encode(), *where))


def _allocate(file: str, align: int, zone: int) -> bytes:
    return _command(ALLOCATE, struct.pack("<56sIB", file.encode(), align, zone))


def _command(number: int, operands: bytes) -> bytes:
    return (struct.pack("<I", number) + operands).ljust(COMMAND_SIZE, b"\0")
