"""The code of an image as the static walk wants it: where it lies when it runs, and where it is entered."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from vmm.bench import kallsyms
from vmm.bench.symbols import Names
from vmm.loader import BootPlan, SymbolTable, bzimage, elf, open_image
from vmm.loader.bzimage_header import read_header
from vmm.loader.bzimage_payload import has_known_payload, unpack_payload
from vmm.loader.view import ImageView
from vmm.sbe.elf_code import code_pointers, elf_code, elf_tables, load_addresses, relative_pointers
from vmm.sbe.static_walk import Entry, Region

_TOP = 1 << 32
_BIOS_END, _SHADOW = 1 << 20, 256 << 10
_RESET_VECTOR = 16
_BITS = {"reset": 16, "real": 16, "protected": 32, "long": 64}

_Code = tuple[list[Region], list[Entry]]


class ImageCode(NamedTuple):
    """`names` are those the image has for its functions; `loads` says what runs at two places: (where it is
    loaded, where it is linked, length)."""

    regions: list[Region]
    entries: list[Entry]
    names: Names
    loads: list[tuple[int, int, int]]


def image_code(path: Path, plan: BootPlan) -> ImageCode:
    """The code of the image at `path`, which `plan` would boot.

    ELF files, also inside a bzImage, at their virtual addresses; ROMs at both places they show; anything else
    where the plan puts it. ImageError for a broken file.
    """
    names = Names() if plan.symbols is None else Names(plan.symbols, "the image's symbols")
    if plan.rom is not None:
        return ImageCode(*_rom_code(plan.rom), names, [])
    image = elf_inside(open_image(path))
    if image is None:
        return ImageCode(*_plan_code(plan), names, [])
    loads = load_addresses(image.path, image.data)
    return ImageCode(*_elf_code(image), _own_names(image) if names.table is None else names, loads)


def _own_names(image: ImageView) -> Names:
    """Those that a Linux kernel carries for itself."""
    found = kallsyms.decode(bytes(image.data))
    return Names(SymbolTable(found.text()), "the image's kallsyms") if found else Names()


def elf_inside(view: ImageView) -> ImageView | None:
    """The ELF file that an image is or, as a bzImage, holds; None for anything else."""
    if elf.is_elf(view):
        return view
    if not bzimage.probe(view):
        return None
    header = read_header(view)
    payload = unpack_payload(view, header) if has_known_payload(view, header) else None
    return payload if payload is not None and elf.is_elf(payload) else None


def _elf_code(image: ImageView) -> _Code:
    regions, entries = elf_code(image.path, image.data)
    bits = entries[0].bits
    if len(entries) == 1:
        # No symbols: functions are found through the tables that point to them.
        entries += code_pointers(image.data, regions, bits)
        entries += relative_pointers(elf_tables(image.path, image.data), regions, bits)
        entries += [Entry(region.address, bits) for region in regions]
    return regions, entries


def _rom_code(rom: bytes) -> _Code:
    low = rom[-min(len(rom), _SHADOW) :]
    regions = [Region(_TOP - len(rom), rom), Region(_BIOS_END - len(low), low)]
    return regions, [Entry(_TOP - _RESET_VECTOR, 16), Entry(_BIOS_END - _RESET_VECTOR, 16)]


def _plan_code(plan: BootPlan) -> _Code:
    regions = [Region(blob.address, bytes(blob.data)) for blob in plan.blobs if blob.data]
    start = plan.cpu.entry + (plan.cpu.cs << 4 if plan.cpu.mode == "real" else 0)
    return regions, [Entry(start, _BITS[plan.cpu.mode])]
