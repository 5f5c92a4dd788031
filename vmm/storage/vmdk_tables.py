"""Grain directories and tables as a whole: what is where in a sparse extent, for checking and repairing.

The layer in C works on one table at a time; this reads all of them.
"""

from __future__ import annotations

import array
import sys
from collections.abc import Iterator

from vmm.storage.files import SECTOR, ImageFile
from vmm.storage.vmdk_header import UNCLEAN_AT, Header


def directory(file: ImageFile, header: Header, sector: int) -> array.array[int]:
    """Sectors of the tables of one set."""
    return _numbers(file.read(sector * SECTOR, header.tables * 4, "the grain directory"))


def table(file: ImageFile, header: Header, sector: int) -> array.array[int]:
    """Sectors of the grains of one table; all zero for the table of none."""
    if not sector:
        return _numbers(bytes(header.gt_entries * 4))
    return _numbers(file.read(sector * SECTOR, header.gt_entries * 4, "a grain table"))


def tables(file: ImageFile, header: Header) -> Iterator[array.array[int]]:
    """Every table of the first set, in order."""
    for sector in directory(file, header, header.gd_offset):
        yield table(file, header, sector)


def _numbers(data: bytes) -> array.array[int]:
    numbers = array.array("I", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def differing(file: ImageFile, header: Header) -> Iterator[tuple[int, int]]:
    """(first, redundant) sectors of tables whose contents differ: a crash came between their writing."""
    if not header.layout().rgd_offset:
        return
    first = directory(file, header, header.gd_offset)
    second = directory(file, header, header.rgd_offset)
    for one, two in zip(first, second, strict=True):
        if bool(one) != bool(two) or table(file, header, one) != table(file, header, two):
            yield one, two


def settle(file: ImageFile, header: Header) -> int:
    """After a crash: make the redundant tables equal the first ones, which count; how many were not."""
    count = 0
    for one, two in differing(file, header):
        if one and two:
            file.put(two * SECTOR, table(file, header, one).tobytes())
            count += 1
    file.sync()
    file.put(UNCLEAN_AT, b"\0")
    file.sync()
    return count
