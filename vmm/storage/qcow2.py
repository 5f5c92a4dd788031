"""QEMU's qcow2 images, for reading: header, what it may ask of us, its backing file.

Follows QEMU's docs/interop/qcow2.txt; everything is big-endian.
"""

from __future__ import annotations

from typing import NamedTuple

from vmm.monitor.disk import Qcow2Layout, qcow2_layer
from vmm.storage.files import SECTOR, ImageFile
from vmm.storage.image import Level, Opened

MAGIC = b"QFI\xfb"
_V2 = ">4sIQIIQIIQQIIQ"
_V3 = ">QQQII"
_V2_SIZE, _V3_SIZE = 72, 104
_EXT_END, _EXT_BACKING_FORMAT = 0, 0xE2792ACA
_MAX_NAME = 1023
_MAX_EXTENSIONS = 64

DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, SUBCLUSTERS = (1 << bit for bit in range(5))


class Header(NamedTuple):
    """What a reader needs; `backing` and `backing_format` are "" where there is none."""

    version: int
    cluster_bits: int
    size: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    refcount_order: int
    snapshots: int
    incompatible: int
    backing: str
    backing_format: str


def read_header(file: ImageFile) -> Header:
    """The header, checked; ImageError for what cannot be read."""
    (_, version, name_at, name_length, cluster_bits, size, crypt, l1_entries, l1_offset, *rest) = file.unpack(
        _V2, 0, "the qcow2 header"
    )
    if version not in {2, 3}:
        raise file.error(f"qcow version {version} is not known; 2 and 3 are", offset=4)
    incompatible, order, length = 0, 4, _V2_SIZE
    if version == 3:
        incompatible, _, _, order, length = file.unpack(_V3, _V2_SIZE, "the qcow2 header")
    compression = file.read(_V3_SIZE, 1, "the qcow2 header")[0] if length > _V3_SIZE else 0
    if order > 6:
        raise file.error(f"refcounts of 2^{order} bits; 2^6 are the most", offset=96)
    if reason := _objection(incompatible, crypt, compression, cluster_bits, length):
        raise file.error(reason, remedy="qemu-img convert can make a plain image of it")
    backing = _text(file, name_at, name_length) if name_at else ""
    return Header(
        version,
        cluster_bits,
        -(-size // SECTOR) * SECTOR,
        l1_entries,
        l1_offset,
        rest[0],
        rest[1],
        order,
        rest[2],
        incompatible,
        backing,
        _backing_format(file, length, name_at),
    )


def _objection(incompatible: int, crypt: int, compression: int, cluster_bits: int, length: int) -> str:
    known = {
        CORRUPT: "it is marked corrupt",
        EXTERNAL_DATA: "its data is in an external file, which is not supported",
        SUBCLUSTERS: "it has subclusters (extended L2), which are not supported",
    }
    if reason := next((text for bit, text in known.items() if incompatible & bit), ""):
        return reason
    if incompatible >> 5:
        return f"it uses features {incompatible:#x} that are not known"
    if crypt:
        return "it is encrypted, which is not supported"
    if compression:
        return f"its compression method {compression} is not supported; 0 (zlib) is"
    if not 9 <= cluster_bits <= 21:
        return f"clusters of 2^{cluster_bits} bytes; 2^9 to 2^21 are possible"
    return "" if length >= _V2_SIZE else f"a header of {length} bytes"


def _text(file: ImageFile, offset: int, length: int) -> str:
    if not 1 <= length <= _MAX_NAME:
        raise file.error(f"the name of the backing file has {length} bytes", offset=16)
    return file.read(offset, length, "the name of the backing file").decode("utf-8", "surrogateescape")


def _backing_format(file: ImageFile, at: int, end: int) -> str:
    end = end or file.size
    for _ in range(_MAX_EXTENSIONS):
        if at + 8 > min(end, file.size):
            return ""
        kind, length = file.unpack(">II", at, "a header extension")
        if kind == _EXT_END:
            return ""
        if kind == _EXT_BACKING_FORMAT:
            return file.read(at + 8, min(length, 64), "the backing format").decode("ascii", "replace")
        at += 8 + -(-length // 8) * 8
    return ""


def open_qcow2(file: ImageFile, header: Header, parent: Opened | None) -> Opened:
    """The image over its backing file, if it has one."""
    layout = Qcow2Layout(header.size, header.l1_offset, header.l1_entries, header.cluster_bits)
    layer = qcow2_layer(file.for_layer(), layout, parent.layer if parent else None)
    notes = {
        "cluster_size": 1 << header.cluster_bits,
        "version": header.version,
        "snapshots": header.snapshots,
    }
    level = Level(file.path, "qcow2", layer.view(), header.size, notes)
    return Opened(
        layer, [level, *(parent.levels if parent else [])], [file, *(parent.files if parent else [])]
    )
