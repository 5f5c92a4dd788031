"""Making a disk larger: the new end reads as zeros. What is in it stays where it is."""

from __future__ import annotations

import struct
from pathlib import Path

from vmm.errors import UsageError, one_line
from vmm.storage import vmdk_header, vmdk_tables
from vmm.storage.chain import detect
from vmm.storage.create import check_size
from vmm.storage.files import SECTOR, ImageFile
from vmm.storage.vmdk import Vmdk
from vmm.storage.vmdk_descriptor import Extent


def grow(path: Path, size: int) -> None:
    """Make the disk in `path` `size` bytes; UsageError if it is not smaller, or cannot be made larger."""
    file = ImageFile(path, write=True)
    try:
        found = detect(file)
        if found == "raw":
            _grow_raw(file, size)
        elif found == "vmdk":
            _grow_vmdk(Vmdk(file), size)
        else:
            raise UsageError(one_line(f"{path}: qcow2 images are only read; convert it to vmdk or raw"))
    finally:
        file.close()


def _check_larger(path: Path, old: int, new: int, kind: str) -> None:
    check_size(new, kind)
    if new <= old:
        raise UsageError(one_line(f"{path}: the disk has {old} bytes; give more, disks do not shrink"))


def _grow_raw(file: ImageFile, size: int) -> None:
    if file.block_device:
        raise UsageError(one_line(f"{file.path}: a block device has the size that the host gave it"))
    _check_larger(file.path, file.size, size, "raw")
    file.truncate(size)
    file.sync()


def _grow_vmdk(vmdk: Vmdk, size: int) -> None:
    _check_larger(vmdk.file.path, vmdk.size, size, vmdk.descriptor.create_type)
    extents = vmdk.descriptor.extents
    if vmdk.header and not vmdk.header.compressed:
        _grow_sparse(vmdk.file, vmdk.header, size // SECTOR)
        vmdk.rewrite(sectors=size // SECTOR)
    elif len(extents) == 1 and extents[0].kind in {"FLAT", "VMFS"}:
        _grow_flat(vmdk, extents[0], size // SECTOR)
    else:
        kind = vmdk.descriptor.create_type
        raise UsageError(
            one_line(f"{vmdk.file.path}: a {kind} disk cannot grow; convert it to monolithicSparse first")
        )


def _grow_flat(vmdk: Vmdk, extent: Extent, sectors: int) -> None:
    file = ImageFile(vmdk.file.path.parent / Path(extent.file).name, write=True)
    try:
        file.truncate(max(file.size, (extent.offset + sectors) * SECTOR))
        file.sync()
    finally:
        file.close()
    vmdk.rewrite(sectors=sectors)


def _grow_sparse(file: ImageFile, header: vmdk_header.Header, sectors: int) -> None:
    """New directories at the end of the file, which name the old tables and new ones; the header comes last,
    and until it is written the old directories count."""
    if header.unclean:
        vmdk_tables.settle(file, header)
    larger = header._replace(capacity=sectors, unclean=0)
    if larger.tables > header.tables:
        larger = _move_directories(file, header, larger)
    file.sync()
    file.put(0, larger.pack())
    file.sync()


def _move_directories(
    file: ImageFile, header: vmdk_header.Header, larger: vmdk_header.Header
) -> vmdk_header.Header:
    added = larger.tables - header.tables
    length, step = -(-larger.tables * 4 // SECTOR), -(-header.gt_entries * 4 // SECTOR)
    at = -(-file.size // SECTOR)
    places = []
    for old in filter(None, (header.layout().rgd_offset // SECTOR, header.gd_offset)):
        tables = [*vmdk_tables.directory(file, header, old)]
        tables += range(at + length, at + length + added * step, step)
        file.put(at * SECTOR, struct.pack(f"<{len(tables)}I", *tables))
        places.append(at)
        at += length + added * step
    if at > 1 << 32:
        raise UsageError(one_line(f"{file.path}: a sparse extent holds 2T at most"))
    file.truncate(-(-at // header.grain) * header.grain * SECTOR)
    redundant = places[0] if len(places) == 2 else larger.rgd_offset
    return larger._replace(rgd_offset=redundant, gd_offset=places[-1])
