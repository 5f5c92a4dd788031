"""Opening a disk image: its format found out by content, and every image under it.

A backing file or parent is looked for relative to the image that names it. Only the top of a chain is written
to; the files under it are locked against writers.
"""

from __future__ import annotations

from pathlib import Path

from vmm.errors import ImageError, UsageError
from vmm.storage import qcow2, vmdk_descriptor, vmdk_header
from vmm.storage.files import ImageFile
from vmm.storage.image import Image, Opened, closing_on_error
from vmm.storage.raw import open_raw
from vmm.storage.vmdk import Vmdk, open_vmdk

FORMATS = ("raw", "vmdk", "qcow2")
MAX_CHAIN = 64

_FOREIGN = (
    (0, b"COWD", "an ESX vmfsSparse extent"),
    (0, b"conectix", "a VHD image"),
    (0, b"vhdxfile", "a VHDX image"),
    (0x40, b"\x7f\x10\xda\xbe", "a VDI image"),
    (0, b"QED\0", "a QED image"),
    (0, b"WithoutFreeSpace", "a Parallels image"),
    (0, b"SE SPARSE", "an ESX seSparse extent"),
)


def detect(file: ImageFile) -> str:
    """Name of the format in `FORMATS`: what no other claims is raw. ImageError for one that we only know."""
    head = file.head(4096)
    if head.startswith(qcow2.MAGIC):
        return "qcow2"
    if head.startswith(vmdk_header.MAGIC.to_bytes(4, "little")) or vmdk_descriptor.is_descriptor(head):
        return "vmdk"
    for offset, magic, name in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            raise file.error(
                f"is {name}, which is not supported; {', '.join(FORMATS)} are",
                remedy="qemu-img convert can make one of these, or say format=raw if it only looks like one",
            )
    return "raw"


def open_image(
    path: Path,
    *,
    format: str | None = None,
    write: bool = False,
    stamp: bool = True,
    locked: bool = True,
) -> Image:
    """The disk in `path` and all below it. `format` insists on one; `stamp` False leaves the content ID of a
    VMDK as it is although it is written to; `locked` False looks at one that somebody may be using."""
    return Image(_open(path, format, write=write, stamp=stamp, locked=locked))


def _open(
    path: Path,
    format: str | None,
    *,
    write: bool,
    stamp: bool,
    locked: bool,
    above: tuple[ImageFile, ...] = (),
) -> Opened:
    file = ImageFile(path, write=write, locked=locked)
    with closing_on_error(file):
        found = detect(file) if format is None else _insist(file, format)
        if found == "raw":
            return open_raw(file, probed=format is None)
        _check_depth(file, above)
        if found == "qcow2":
            return _open_qcow2(file, (*above, file))
        return _open_vmdk(file, (*above, file), stamp=stamp)


def _insist(file: ImageFile, format: str) -> str:
    if format not in FORMATS:
        raise UsageError(f"unknown disk format '{format}'; choose from {', '.join(FORMATS)}")
    if format != "raw" and (found := detect(file)) != format:
        raise file.error(f"is not a {format} image but {found}", remedy="leave the format out")
    return format


def _check_depth(file: ImageFile, above: tuple[ImageFile, ...]) -> None:
    if any(file.path.samefile(one.path) for one in above):
        raise file.error("is its own backing file, directly or through others")
    if len(above) >= MAX_CHAIN:
        raise file.error(f"a chain of over {MAX_CHAIN} images")


def _open_qcow2(file: ImageFile, above: tuple[ImageFile, ...]) -> Opened:
    if file.write:
        raise file.error(
            "qcow2 images are only read",
            remedy="convert it to vmdk or raw, or use it readonly or with snapshot",
        )
    header = qcow2.read_header(file)
    if not header.backing:
        return qcow2.open_qcow2(file, header, None)
    name = header.backing.removeprefix("file:")
    if ":" in name.partition("/")[0]:
        raise file.error(f"its backing file '{name}' is no file; only files are opened")
    format = header.backing_format or None
    if format is not None and format not in FORMATS:
        raise file.error(f"its backing file has format '{format}'; {', '.join(FORMATS)} are supported")
    parent = _below(file, name, format, above)
    with closing_on_error(parent.layer, *parent.files):
        return qcow2.open_qcow2(file, header, parent)


def _open_vmdk(file: ImageFile, above: tuple[ImageFile, ...], *, stamp: bool) -> Opened:
    vmdk = Vmdk(file)
    descriptor = vmdk.descriptor
    if descriptor.parent_cid == vmdk_descriptor.NO_PARENT and not descriptor.parent:
        return open_vmdk(vmdk, None, stamp=stamp)
    if not descriptor.parent:
        raise file.error("is a redo log, but does not say of which disk")
    parent = _below(file, descriptor.parent, None, above)
    with closing_on_error(parent.layer, *parent.files):
        there = parent.levels[0].notes.get("cid")
        if there and int(str(there), 16) != descriptor.parent_cid:
            raise file.error(
                f"its parent {parent.levels[0].path} was written to after this redo log was made on it: "
                "the two do not fit together any more",
                remedy="the parent by itself is usable",
            )
        return open_vmdk(vmdk, parent, stamp=stamp)


def _below(file: ImageFile, name: str, format: str | None, above: tuple[ImageFile, ...]) -> Opened:
    """The image that `file` names as the one under it."""
    path = file.path.parent / name
    try:
        return _open(path, format, write=False, stamp=False, locked=file.locked, above=above)
    except ImageError as error:
        if error.path != path:
            raise
        raise ImageError(
            file.path,
            f"its backing file {path}: {error.reason}",
            remedy=error.remedy or "put it there, or convert the image where it is",
        ) from None


def backing_name(path: Path) -> str:
    """What the image names as the one under it, "" for none; without opening that."""
    file = ImageFile(path, write=False, locked=False)
    try:
        found = detect(file)
        if found == "qcow2":
            return qcow2.read_header(file).backing
        return Vmdk(file).descriptor.parent if found == "vmdk" else ""
    finally:
        file.close()


__all__ = ["FORMATS", "Image", "backing_name", "detect", "open_image"]
