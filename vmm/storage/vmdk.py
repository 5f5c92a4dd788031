"""VMDK disks: a descriptor and its extents, over a parent if it is a redo log.

A disk is one file with the descriptor inside (monolithicSparse, streamOptimized) or a descriptor file that
names extents beside it. Extents are looked for in the descriptor's own folder only: an image from elsewhere
must not be able to name a file of this host. Each disk has a content ID that changes with the first write
after opening, and a redo log says which ID its parent had: so a parent that was written to is noticed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from vmm.errors import ImageError
from vmm.monitor.disk import Layer, concat_layer, raw_layer, sparse_layer, stamp_layer, zero_layer
from vmm.storage import vmdk_descriptor, vmdk_header
from vmm.storage.files import SECTOR, ImageFile
from vmm.storage.image import Level, Opened, closing_on_error
from vmm.storage.vmdk_descriptor import Extent
from vmm.storage.vmdk_tables import settle

SPARSE_TYPES = ("monolithicSparse", "twoGbMaxExtentSparse", "streamOptimized")
FLAT_TYPES = ("monolithicFlat", "twoGbMaxExtentFlat", "vmfs")
_KNOWN = {name.lower() for name in (*SPARSE_TYPES, *FLAT_TYPES)}
_FLAT = frozenset({"FLAT", "VMFS"})


class Vmdk:
    """An open descriptor: what it says, and where it stands in its file."""

    def __init__(self, file: ImageFile) -> None:
        self.file = file
        self.header: vmdk_header.Header | None = None
        self.place = 0
        if file.head(4) == vmdk_header.MAGIC.to_bytes(4, "little"):
            self.header = vmdk_header.read_header(file)
            self.place, length = self._embedded(self.header)
        else:
            length = file.size
        if length > vmdk_descriptor.MAX_BYTES:
            raise file.error(f"a descriptor of {length} bytes; {vmdk_descriptor.MAX_BYTES} are possible")
        self.room = length
        self.text = file.read(self.place, length, "the descriptor")
        self.descriptor = vmdk_descriptor.parse(self.text, file.path)
        self._check()

    def _embedded(self, header: vmdk_header.Header) -> tuple[int, int]:
        if not header.descriptor_size:
            raise self.file.error(
                "is one extent of a disk and has no descriptor", remedy="open the disk's .vmdk that names it"
            )
        return header.descriptor_offset * SECTOR, header.descriptor_size * SECTOR

    def _check(self) -> None:
        kind = self.descriptor.create_type
        if kind.lower() not in _KNOWN:
            known = ", ".join((*SPARSE_TYPES, *FLAT_TYPES))
            raise self.file.error(f"createType '{kind}' is not supported; {known} are")
        if self.header and [extent.kind for extent in self.descriptor.extents] != ["SPARSE"]:
            raise self.file.error("has a descriptor inside, but other extents than itself")

    @property
    def size(self) -> int:
        """Bytes of the disk. The header inside an image counts, as for QEMU."""
        return (self.header.capacity if self.header else self.descriptor.sectors) * SECTOR

    def rewrite(self, *, sectors: int | None = None, **settings: str) -> None:
        """Change settings of the descriptor, or the size of its only extent, and make that durable."""
        text = vmdk_descriptor.edited(self.text, settings, sectors)
        if self.header:
            if len(text) > self.room:
                raise self.file.error(f"the descriptor has room for {self.room} bytes, not for {len(text)}")
            text = text.ljust(self.room, b"\0")
        self.file.put(self.place, text)
        if not self.header:
            self.file.truncate(len(text))
        self.file.sync()


def open_vmdk(vmdk: Vmdk, parent: Opened | None, *, stamp: bool = True) -> Opened:
    """The disk; written to if its file was opened so."""
    file, descriptor = vmdk.file, vmdk.descriptor
    if file.write and vmdk.header and vmdk.header.compressed:
        raise file.error("streamOptimized disks are only read", remedy="convert it, or use it read-only")
    build = _Build(file, parent)
    with closing_on_error() as undo:
        undo.callback(build.close)
        layer = build.sparse(file, vmdk.header, 0) if vmdk.header else build.extents(descriptor.extents)
        undo.callback(layer.close)
        level = Level(file.path, "vmdk", layer.view(), vmdk.size, _notes(vmdk))
        if stamp and not layer.readonly:
            layer = _stamped(vmdk, layer)
    levels, files = (parent.levels, parent.files) if parent else ([], [])
    return Opened(layer, [level, *levels], [file, *build.files, *files])


def _notes(vmdk: Vmdk) -> dict[str, object]:
    notes: dict[str, object] = {
        "create_type": vmdk.descriptor.create_type,
        "cid": f"{vmdk.descriptor.cid:08x}",
    }
    if vmdk.header:
        notes["grain_size"] = vmdk.header.grain * SECTOR
        notes["unclean"] = bool(vmdk.header.unclean)
    else:
        notes["extents"] = [extent.file for extent in vmdk.descriptor.extents]
    return notes


def _stamped(vmdk: Vmdk, layer: Layer) -> Layer:
    place = vmdk_descriptor.cid_place(vmdk.text)
    if not place:
        return layer
    return stamp_layer(layer, vmdk.file.for_layer(), vmdk.place + place[0], f"{new_cid():08x}".encode())


def new_cid() -> int:
    """A content ID that no disk has had before, but for luck; never one of those with a meaning."""
    return random.SystemRandom().randrange(1, vmdk_descriptor.UNKNOWN_PARENT)


class _Build:
    """The layers of one disk while they are made. Its first sparse extent takes the parent over, the others
    share it."""

    def __init__(self, descriptor: ImageFile, parent: Opened | None) -> None:
        self.descriptor = descriptor
        self.files: list[ImageFile] = []
        self._layers: list[Layer] = []
        self._parent = parent.layer if parent else None
        self._shared = parent.layer.view() if parent else None

    def close(self) -> None:
        for layer in self._layers:
            layer.close()
        for file in self.files:
            file.close()

    def extents(self, extents: Sequence[Extent]) -> Layer:
        at = 0
        for extent in extents:
            self._layers.append(self._extent(extent, at))
            at += extent.sectors * SECTOR
        if self._parent:
            raise self.descriptor.error("has a parent, but no sparse extent that could lie over it")
        return concat_layer(self._layers) if len(self._layers) > 1 else self._layers.pop()

    def sparse(self, file: ImageFile, header: vmdk_header.Header, at: int) -> Layer:
        if header.unclean and file.write:
            settle(file, header)
        parent, self._parent = self._parent, None
        return sparse_layer(
            file.for_layer(), header.layout(), parent or self._shared, at=at, shared=parent is None
        )

    def _extent(self, extent: Extent, at: int) -> Layer:
        if extent.kind == "ZERO":
            return zero_layer(extent.sectors * SECTOR)
        if extent.kind not in {*_FLAT, "SPARSE"}:
            known = "FLAT, VMFS, SPARSE and ZERO are"
            raise self.descriptor.error(f"extents of type {extent.kind} are not supported; {known}")
        file = self._open(extent)
        self.files.append(file)
        if extent.kind in _FLAT:
            return _flat(file, extent)
        header = vmdk_header.read_header(file)
        if header.capacity != extent.sectors:
            raise file.error(f"has {header.capacity} sectors, its descriptor says {extent.sectors}")
        return self.sparse(file, header, at)

    def _open(self, extent: Extent) -> ImageFile:
        name, owner = extent.file, self.descriptor
        if not name or "/" in name or name in {".", ".."} or "\0" in name:
            raise owner.error(f"extent '{name}' is not a file in the same folder, and only those are opened")
        if extent.access == "NOACCESS":
            raise owner.error(f"extent '{name}' is marked as not to be accessed")
        path = owner.path.parent / name
        try:
            write = owner.write and extent.access == "RW"
            return ImageFile(path, write=write, locked=owner.locked)
        except ImageError as error:
            raise ImageError(owner.path, f"its extent {path}: {error.reason}", remedy=error.remedy) from None


def _flat(file: ImageFile, extent: Extent) -> Layer:
    need = (extent.offset + extent.sectors) * SECTOR
    if file.size < need:
        raise file.error(f"the extent needs {need} bytes, but the file has {file.size}: is it truncated?")
    return raw_layer(file.for_layer(), extent.offset * SECTOR, extent.sectors * SECTOR)
