"""Puts tables at their addresses: concatenates them, fills in pointers and checksums."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

from vmm.loader.acpi.tables import Table

POINTER_FORMAT = {4: "<I", 8: "<Q"}
"""How a pointer of so many bytes is stored."""


def offsets(tables: Sequence[Table]) -> dict[str, int]:
    """Offset of each table, laid out in order from an address that is aligned for all of them."""
    found: dict[str, int] = {}
    at = 0
    for table in tables:
        found[table.name] = at = -(-at // table.align) * table.align
        at += len(table.data)
    return found


def concatenate(tables: Sequence[Table], at: Mapping[str, int]) -> bytes:
    """The tables as one image, zeros between them; `at` from `offsets`."""
    image = bytearray()
    for table in tables:
        image += bytes(at[table.name] - len(image)) + table.data
    return bytes(image)


def resolve(table: Table, addresses: Mapping[str, int]) -> bytes:
    """`table` with its pointers and checksums filled in, given the address of every table it points to."""
    data = bytearray(table.data)
    for pointer in table.pointers:
        struct.pack_into(POINTER_FORMAT[pointer.size], data, pointer.offset, addresses[pointer.target])
    for checksum in table.checksums:
        data[checksum.at] = 0
        data[checksum.at] = complement(data[checksum.start : checksum.start + checksum.length])
    return bytes(data)


def complement(data: Iterable[int]) -> int:
    """The byte that makes `data` sum to zero."""
    return -sum(data) & 0xFF
