"""The header of a hosted sparse extent, and where a new one has its tables.

Follows VMware's "Virtual Disk Format 5.0", section "Hosted Sparse Extents"; everything is little-endian, and
lengths count sectors. A stream-optimized extent that was written in one go has its tables at the end, and a
copy of the header, the footer, that says where.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from vmm.monitor.disk import SparseLayout
from vmm.storage.files import SECTOR, ImageFile

MAGIC = 0x564D444B  # "KDMV"
LAYOUT = "<IIIQQQQIQQQB4sH433x"
SIZE = struct.calcsize(LAYOUT)
UNCLEAN_AT = 72
GT_ENTRIES = 512
GRAIN_SECTORS = 128
DESCRIPTOR_SECTORS = 20
GD_AT_END = (1 << 64) - 1

FLAG_NEWLINES, FLAG_REDUNDANT, FLAG_ZERO_GRAINS = 1, 2, 4
FLAG_COMPRESSED, FLAG_MARKERS = 1 << 16, 1 << 17
NEWLINES = b"\n \r\n"
DEFLATE = 1


class Header(NamedTuple):
    """Offsets and lengths in sectors."""

    magic: int
    version: int
    flags: int
    capacity: int
    grain: int
    descriptor_offset: int
    descriptor_size: int
    gt_entries: int
    rgd_offset: int
    gd_offset: int
    overhead: int
    unclean: int
    newlines: bytes
    compression: int

    @property
    def tables(self) -> int:
        """Grain tables that the disk needs."""
        return -(-self.capacity // (self.grain * self.gt_entries))

    @property
    def compressed(self) -> bool:
        """Whether grains are deflated."""
        return bool(self.flags & FLAG_COMPRESSED)

    def pack(self) -> bytes:
        """As a sector."""
        return struct.pack(LAYOUT, *self)

    def layout(self, *, unclean: bool = True) -> SparseLayout:
        """For the layer."""
        redundant = self.rgd_offset if self.flags & FLAG_REDUNDANT else 0
        return SparseLayout(
            capacity=self.capacity * SECTOR,
            grain=self.grain * SECTOR,
            gd_offset=self.gd_offset * SECTOR,
            rgd_offset=redundant * SECTOR,
            gt_entries=self.gt_entries,
            zero_grains=bool(self.flags & FLAG_ZERO_GRAINS),
            compressed=self.compressed,
            unclean_at=UNCLEAN_AT if unclean else 0,
        )


def read_header(file: ImageFile) -> Header:
    """The header, or the footer where that counts, checked; ImageError for what cannot be."""
    header = Header(*file.unpack(LAYOUT, 0, "the VMDK header"))
    at = 0
    if header.gd_offset == GD_AT_END:
        at = file.size // SECTOR * SECTOR - 2 * SECTOR
        footer = Header(*file.unpack(LAYOUT, max(at, 0), "the footer"))
        header = footer._replace(
            descriptor_offset=header.descriptor_offset, descriptor_size=header.descriptor_size
        )
    reason = _objection(header, file.size)
    if reason:
        raise file.error(reason, offset=at)
    return header


def _objection(h: Header, size: int) -> str:  # noqa: PLR0911
    if h.magic != MAGIC:
        return "the footer is missing: the image was not written to its end"
    if h.version not in {1, 2, 3}:
        return f"VMDK version {h.version} is not known; 1 to 3 are"
    if h.flags & FLAG_NEWLINES and h.newlines != NEWLINES:
        return "a copy as text has converted its line ends and destroyed it"
    if h.compressed and h.compression != DEFLATE:
        return f"compression method {h.compression} is not known"
    if not h.grain or h.grain & (h.grain - 1) or not 8 <= h.grain <= 2048:
        return f"grains of {h.grain} sectors; 8 to 2048, a power of two, are possible"
    if not 1 <= h.gt_entries <= GT_ENTRIES:
        return f"grain tables of {h.gt_entries} entries; 1 to {GT_ENTRIES} are possible"
    if not 1 <= h.capacity <= 1 << 37:
        return f"a size of {h.capacity} sectors; 1 sector to 64 TiB are possible"
    if not 1 <= h.gd_offset <= size // SECTOR:
        return "the grain directory lies outside the file: is it truncated?"
    if h.flags & FLAG_REDUNDANT and not 1 <= h.rgd_offset <= size // SECTOR:
        return "the redundant grain directory lies outside the file: is it truncated?"
    if (h.descriptor_offset + h.descriptor_size) * SECTOR > size:
        return "the descriptor lies outside the file: is it truncated?"
    return ""


class Plan(NamedTuple):
    """A new extent: its header, and what stands at which sectors; the rest, up to `overhead`, is zeros."""

    header: Header
    directories: tuple[tuple[int, bytes], ...]


def plan(sectors: int, *, zero_grains: bool, descriptor: bool = True) -> Plan:
    """A new extent with all its tables present and empty."""
    count = -(-sectors // (GRAIN_SECTORS * GT_ENTRIES))
    directory, table = -(-count * 4 // SECTOR), GT_ENTRIES * 4 // SECTOR
    at = 1 + (DESCRIPTOR_SECTORS if descriptor else 0)
    rgd, gd = at, at + directory + count * table
    end = gd + directory + count * table
    header = Header(
        magic=MAGIC,
        version=2 if zero_grains else 1,
        flags=FLAG_NEWLINES | FLAG_REDUNDANT | (FLAG_ZERO_GRAINS if zero_grains else 0),
        capacity=sectors,
        grain=GRAIN_SECTORS,
        descriptor_offset=1 if descriptor else 0,
        descriptor_size=DESCRIPTOR_SECTORS if descriptor else 0,
        gt_entries=GT_ENTRIES,
        rgd_offset=rgd,
        gd_offset=gd,
        overhead=-(-end // GRAIN_SECTORS) * GRAIN_SECTORS,
        unclean=0,
        newlines=NEWLINES,
        compression=0,
    )
    return Plan(header, tuple((at, _directory(at + directory, count, table)) for at in (rgd, gd)))


def _directory(first: int, count: int, step: int) -> bytes:
    """Entries for `count` tables from sector `first` on."""
    return struct.pack(f"<{count}I", *range(first, first + count * step, step))
