"""New disk images: files that appear complete, under a name nobody had, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vmm.errors import HostError, UsageError, one_line
from vmm.monitor.disk import DiskFile, Layer, concat_layer, raw_layer, sparse_layer
from vmm.storage import vmdk_descriptor, vmdk_header
from vmm.storage.files import SECTOR, NewFile, check_new, new_files
from vmm.storage.stream import StreamWriter
from vmm.storage.vmdk import new_cid
from vmm.storage.vmdk_descriptor import Descriptor, Extent

KINDS = (
    "raw",
    "monolithicSparse",
    "monolithicFlat",
    "twoGbMaxExtentSparse",
    "twoGbMaxExtentFlat",
    "streamOptimized",
)
"""What can be made: raw, and the types of VMDK by their own names."""

SHORT = {"vmdk": "monolithicSparse"}
DISK_MAX = 64 << 40
SPARSE_MAX = 2 << 40
PIECE_SECTORS = 2047 << 11
"""Of twoGbMaxExtent disks: 2047 MiB."""


class Sink(Protocol):
    """Where a disk's contents go, in ascending order; what is not written is zeros."""

    def write(self, offset: int, data: memoryview) -> None:
        """Whole sectors."""

    def close(self) -> None:
        """Flush all of it."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What a redo log lies over: how it names it, and by which content ID it knows it."""

    name: str
    cid: int


def kind_named(name: str) -> str:
    """The kind called `name`, without regard to case; UsageError if there is none."""
    known = {kind.lower(): kind for kind in (*KINDS, *SHORT)}
    kind = known.get(name.lower())
    if kind is None and name.lower() == "qcow2":
        raise UsageError("qcow2 images are only read; make a vmdk or a raw image")
    if kind is None:
        raise UsageError(f"unknown disk type '{name}'; choose from {', '.join((*SHORT, *KINDS))}")
    return SHORT.get(kind, kind)


def kind_for(path: Path) -> str:
    """What a file of this name is made as if nothing is said: VMDK for `.vmdk`, else raw."""
    return "monolithicSparse" if path.suffix.lower() == ".vmdk" else "raw"


def check_size(size: int, kind: str) -> int:
    """`size` in bytes if a disk of that kind can have it; UsageError otherwise."""
    if size % SECTOR or not SECTOR <= size <= DISK_MAX:
        raise UsageError(f"a disk of {size} bytes: give whole sectors of 512 bytes, up to 64T")
    if kind in {"monolithicSparse", "streamOptimized"} and size > SPARSE_MAX:
        raise UsageError(f"a {kind} disk holds 2T at most; monolithicFlat and raw hold 64T")
    return size


def create(path: Path, size: int, kind: str, *, force: bool = False, preallocate: bool = False) -> None:
    """An empty disk."""
    if kind == "streamOptimized":
        raise UsageError("an empty streamOptimized disk is of no use: nothing can be written to it later")
    with new_disk(path, size, kind, force=force, preallocate=preallocate):
        pass


@contextlib.contextmanager
def new_disk(
    path: Path, size: int, kind: str, *, force: bool = False, preallocate: bool = False
) -> Iterator[Sink]:
    """A disk to be filled; it appears when the block ends well."""
    check_size(size, kind)
    if preallocate and "Flat" not in kind and kind != "raw":
        raise UsageError(f"a {kind} disk cannot be preallocated; monolithicFlat and raw can")
    with new_files() as made:
        sink = _Maker(path, made, force=force, preallocate=preallocate).make(kind, size // SECTOR)
        try:
            yield sink
        except BaseException:
            with contextlib.suppress(HostError):
                sink.close()
            raise
        sink.close()


class _Maker:
    """Writes what a new disk starts as; the descriptor file comes last, so that it names what is there."""

    def __init__(self, path: Path, made: list[NewFile], *, force: bool, preallocate: bool) -> None:
        self._path, self._made, self._force, self._preallocate = path, made, force, preallocate
        check_new(path, force=force)

    def make(self, kind: str, sectors: int) -> Sink:
        if kind == "raw":
            return self._flat(self._path, sectors)
        if kind == "monolithicSparse":
            return self._sparse(self._path, sectors, kind)
        if kind == "streamOptimized":
            file = self._file(self._path)
            return StreamWriter(
                file.temporary, sectors, _descriptor(kind, [_own_extent(self._path, sectors)])
            )
        sparse = kind.endswith("Sparse")
        piece = sectors if kind == "monolithicFlat" else PIECE_SECTORS
        layers, extents = [], []
        for number, start in enumerate(range(0, sectors, piece), 1):
            length = min(piece, sectors - start)
            name = _piece_name(self._path, kind, number)
            path = self._path.with_name(name)
            layers.append(self._sparse(path, length, "") if sparse else self._flat(path, length))
            extents.append(Extent("RW", length, "SPARSE" if sparse else "FLAT", name))
        self._file(self._path).temporary.write_text(_descriptor(kind, extents).text())
        return concat_layer(layers) if len(layers) > 1 else layers[0]

    def _file(self, path: Path) -> NewFile:
        file = NewFile(path, force=self._force)
        self._made.append(file)
        return file

    def _flat(self, path: Path, sectors: int) -> Layer:
        file = self._file(path)
        with _writing(file) as fd:
            os.ftruncate(fd, sectors * SECTOR)
            if self._preallocate:
                os.posix_fallocate(fd, 0, sectors * SECTOR)
            return raw_layer(DiskFile(fd, False, path.name), 0, sectors * SECTOR)

    def _sparse(self, path: Path, sectors: int, kind: str) -> Layer:
        file = self._file(path)
        descriptor = _descriptor(kind, [_own_extent(path, sectors)]) if kind else None
        header = write_sparse(file.temporary, sectors, descriptor, zero_grains=False)
        with _writing(file) as fd:
            return sparse_layer(DiskFile(fd, False, path.name), header.layout())


def create_redo(path: Path, parent: Parent, size: int, ddb: dict[str, str], *, force: bool = False) -> None:
    """An empty redo log over `parent`."""
    sectors = check_size(size, "monolithicSparse") // SECTOR
    descriptor = _descriptor("monolithicSparse", [_own_extent(path, sectors)], parent, ddb)
    with new_files() as made:
        made.append(NewFile(path, force=force))
        write_sparse(made[0].temporary, sectors, descriptor, zero_grains=True)


def write_sparse(
    path: Path, sectors: int, descriptor: Descriptor | None, *, zero_grains: bool
) -> vmdk_header.Header:
    """An empty sparse extent in an empty file."""
    plan = vmdk_header.plan(sectors, zero_grains=zero_grains, descriptor=descriptor is not None)
    with path.open("rb+") as file, _host_errors(path):
        file.write(plan.header.pack())
        if descriptor:
            file.write(fit_descriptor(descriptor))
        for sector, directory in plan.directories:
            file.seek(sector * SECTOR)
            file.write(directory)
        file.truncate(plan.header.overhead * SECTOR)
    return plan.header


def fit_descriptor(descriptor: Descriptor) -> bytes:
    """As it stands inside an extent; UsageError if it is too long for that."""
    room = vmdk_header.DESCRIPTOR_SECTORS * SECTOR
    text = descriptor.text().encode("utf-8", "surrogateescape")
    if len(text) > room:
        raise UsageError(f"the descriptor would have {len(text)} bytes, and there is room for {room}")
    return text.ljust(room, b"\0")


def _descriptor(
    kind: str, extents: list[Extent], parent: Parent | None = None, ddb: dict[str, str] | None = None
) -> Descriptor:
    sectors = sum(extent.sectors for extent in extents)
    return Descriptor(
        create_type=kind,
        cid=new_cid(),
        extents=extents,
        parent=parent.name if parent else "",
        parent_cid=parent.cid if parent else vmdk_descriptor.NO_PARENT,
        ddb={**_geometry(sectors), **(ddb or {})},
    )


def _geometry(sectors: int) -> dict[str, str]:
    """What a BIOS of an LSI adapter shows for a disk of that size."""
    gigabyte = 1 << 21
    heads, track = (64, 32) if sectors <= gigabyte else (128, 32) if sectors <= 2 * gigabyte else (255, 63)
    return {
        "ddb.adapterType": "lsilogic",
        "ddb.geometry.cylinders": str(min(sectors // (heads * track), 65535)),
        "ddb.geometry.heads": str(heads),
        "ddb.geometry.sectors": str(track),
        "ddb.virtualHWVersion": "4",
    }


def _own_extent(path: Path, sectors: int) -> Extent:
    # A quotation mark would end the name; readers take the extent to be the file itself whatever it says.
    return Extent("RW", sectors, "SPARSE", path.name.replace('"', "_").replace("\n", "_"))


def _piece_name(path: Path, kind: str, number: int) -> str:
    if '"' in path.name or "\n" in path.name:
        raise UsageError(one_line(f"{path}: a disk of several files cannot have such a name"))
    tail = "-flat" if kind == "monolithicFlat" else f"-{'s' if kind.endswith('Sparse') else 'f'}{number:03}"
    return f"{path.stem}{tail}.vmdk"


@contextlib.contextmanager
def _writing(file: NewFile) -> Iterator[int]:
    with _host_errors(file.path):
        fd = os.open(file.temporary, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)


@contextlib.contextmanager
def _host_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(one_line(f"{path}: cannot write: {error.strerror}")) from None
