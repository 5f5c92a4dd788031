"""Loaders: a file in, a boot plan out. Nothing here touches a machine.

    plan = load(path, BootRequest(memory=256 << 20, memory_map=memory_map(256 << 20), append="console=ttyS0"))

A format is recognised by looking at the file, never by its name; one layer of gzip around it is taken off
first. Each format is a file with a `FORMAT` row, listed below in the order they are asked:

    bzimage      Linux kernels                  protocols linux, linux64, linux32, pvh
    rom          firmware at the reset vector             rom
    multiboot1   ELF or address fields                    multiboot1
    multiboot2                                            multiboot2
    pvh          ELF with the Xen PVH note                pvh
    elf          other ELF executables                    elf32, elf64
    boot-sector  up to 32 KiB at 0000:7C00                boot-sector
    flat         any bytes, only on request               flat

Reading order: `plan.py` (the data), `layout.py` (what goes where), then a format.
"""

from __future__ import annotations

from pathlib import Path

from vmm.errors import ImageError, UsageError
from vmm.loader import boot_sector, bzimage, flat, multiboot1, multiboot2, plain_elf, pvh, rom
from vmm.loader.codecs import Codec, DecompressError, decompress, find_codec
from vmm.loader.format import Format
from vmm.loader.memory_map import memory_map
from vmm.loader.plan import Blob, BootPlan, BootRequest, CpuState, Module, Region, RegionKind
from vmm.loader.symbols import SymbolTable
from vmm.loader.unknown import unknown
from vmm.loader.view import MAX_IMAGE, ImageView, read_file

__all__ = [
    "PROTOCOLS",
    "Blob",
    "BootPlan",
    "BootRequest",
    "CpuState",
    "Module",
    "Region",
    "RegionKind",
    "SymbolTable",
    "detect",
    "load",
    "memory_map",
]

FORMATS: tuple[Format, ...] = (
    bzimage.FORMAT,
    rom.FORMAT,  # before Multiboot: GRUB's ROM holds a Multiboot header for others to use
    multiboot1.FORMAT,
    multiboot2.FORMAT,
    pvh.FORMAT,
    plain_elf.FORMAT,
    boot_sector.FORMAT,
)
ON_REQUEST: tuple[Format, ...] = (flat.FORMAT,)

PROTOCOLS: tuple[str, ...] = tuple(dict.fromkeys(p for f in FORMATS + ON_REQUEST for p in f.protocols))
"""Every value `BootRequest.protocol` and `BootPlan.protocol` can have."""


def load(path: Path, request: BootRequest) -> BootPlan:
    """Plan how to boot the file at `path` on the machine `request` describes.

    ImageError when the file is broken, unknown or does not fit; UsageError when the request asks for what
    the protocol cannot do.
    """
    return plan_view(open_image(path), request)


def detect(path: Path) -> str:
    """Name of the format of the file at `path`; ImageError when it is none."""
    return _find(open_image(path), None).name


def open_image(path: Path) -> ImageView:
    """The file's content, gunzipped if it is gzip; ImageError when it cannot be read."""
    view = ImageView(path, read_file(path, "image"))
    codec = find_codec(view.data)
    return _gunzip(view, codec) if codec and codec.name == "gzip" else view


def plan_view(view: ImageView, request: BootRequest) -> BootPlan:
    """As `load`, for bytes that are in memory already."""
    return _find(view, request.protocol).plan(view, request)


def _gunzip(view: ImageView, codec: Codec) -> ImageView:
    try:
        return ImageView(view.path, decompress(codec, view.data, MAX_IMAGE), "the gunzipped image")
    except DecompressError as error:
        raise ImageError(
            view.path, str(error), offset=error.offset, remedy="is the file truncated or damaged?"
        ) from None


def _find(view: ImageView, protocol: str | None) -> Format:
    """The first format that claims the image and, if one is asked for, offers the protocol."""
    if protocol is None:
        found = next((f for f in FORMATS if f.probe(view)), None)
        if found is None:
            raise unknown(view)
        return found
    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown boot protocol '{protocol}'; known are {', '.join(PROTOCOLS)}")
    for candidate in FORMATS + ON_REQUEST:
        if protocol in candidate.protocols and candidate.probe(view):
            return candidate
    looks_like = next((f.name for f in FORMATS if f.probe(view)), "nothing bootable")
    raise view.error(f"cannot be booted as {protocol}; it looks like {looks_like}", offset=0)
