"""Writing a stream-optimized VMDK: deflated grains one behind the other, then the tables, then the footer.

Follows VMware's "Virtual Disk Format 5.0", section "Stream-Optimized Compressed Sparse Extents". Nothing is
ever written twice, so that it can go into a pipe or an OVA; the header points to the footer at the end.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from vmm.errors import HostError, one_line
from vmm.monitor.disk import is_zero
from vmm.storage import vmdk_header
from vmm.storage.files import SECTOR
from vmm.storage.vmdk_descriptor import Descriptor
from vmm.storage.vmdk_header import DESCRIPTOR_SECTORS, GRAIN_SECTORS, GT_ENTRIES, Header

_GRAIN = GRAIN_SECTORS * SECTOR
_END, _TABLE, _DIRECTORY, _FOOTER = range(4)


class StreamWriter:
    """Takes a disk's contents in ascending order. Each write but the disk's last is whole grains."""

    def __init__(self, path: Path, sectors: int, descriptor: Descriptor) -> None:
        self._path = path
        self._file = path.open("wb")
        self._sectors = sectors
        self._tables: dict[int, list[int]] = {}
        self._header = Header(
            magic=vmdk_header.MAGIC,
            version=3,
            flags=vmdk_header.FLAG_NEWLINES | vmdk_header.FLAG_COMPRESSED | vmdk_header.FLAG_MARKERS,
            capacity=sectors,
            grain=GRAIN_SECTORS,
            descriptor_offset=1,
            descriptor_size=DESCRIPTOR_SECTORS,
            gt_entries=GT_ENTRIES,
            rgd_offset=0,
            gd_offset=vmdk_header.GD_AT_END,
            overhead=GRAIN_SECTORS,
            unclean=0,
            newlines=vmdk_header.NEWLINES,
            compression=vmdk_header.DEFLATE,
        )
        text = descriptor.text().encode("utf-8", "surrogateescape")
        self._put(self._header.pack() + text.ljust(DESCRIPTOR_SECTORS * SECTOR, b"\0"))
        self._put(bytes(self._header.overhead * SECTOR - self._file.tell()))

    def write(self, offset: int, data: memoryview) -> None:
        """Whole grains at `offset`, or the rest of the disk."""
        for start in range(0, len(data), _GRAIN):
            grain = data[start : start + _GRAIN]
            if not is_zero(grain):
                self._grain((offset + start) // _GRAIN, bytes(grain).ljust(_GRAIN, b"\0"))

    def _grain(self, number: int, grain: bytes) -> None:
        at = self._file.tell() // SECTOR
        packed = zlib.compress(grain)
        self._put(_padded(struct.pack("<QI", number * GRAIN_SECTORS, len(packed)) + packed))
        table = self._tables.setdefault(number // GT_ENTRIES, [0] * GT_ENTRIES)
        table[number % GT_ENTRIES] = at

    def close(self) -> None:
        """Write tables and footer; the file is complete then."""
        if self._file.closed:
            return
        count = -(-self._sectors // (GRAIN_SECTORS * GT_ENTRIES))
        directory = [0] * count
        for index, table in sorted(self._tables.items()):
            directory[index] = self._structure(_TABLE, struct.pack(f"<{GT_ENTRIES}I", *table))
        at = self._structure(_DIRECTORY, struct.pack(f"<{count}I", *directory))
        self._structure(_FOOTER, self._header._replace(gd_offset=at).pack())
        self._put(bytes(SECTOR))  # the marker of the end
        self._file.close()

    def _structure(self, kind: int, data: bytes) -> int:
        """Data behind a marker; the sector it is at."""
        data = _padded(data)
        self._put(_padded(struct.pack("<QII", len(data) // SECTOR, 0, kind)))
        at = self._file.tell() // SECTOR
        self._put(data)
        return at

    def _put(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise HostError(one_line(f"{self._path}: cannot write: {error.strerror}")) from None


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")
