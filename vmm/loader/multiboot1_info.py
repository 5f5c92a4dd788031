"""The Multiboot 1 information structure (section 3.3): one block of fields, each announced by a flag bit."""

from __future__ import annotations

import struct

from vmm.loader.elf_sections import place_symbol_sections
from vmm.loader.layout import Layout
from vmm.loader.memory_map import EBDA_BASE, MIB
from vmm.loader.modules import PlacedModule
from vmm.loader.multiboot_image import (
    FRAMEBUFFER_EGA_TEXT,
    LOADER_NAME,
    TEXT_BUFFER,
    TEXT_COLUMNS,
    TEXT_ROWS,
    LoadedImage,
)
from vmm.loader.plan import BootRequest, Region, RegionKind
from vmm.loader.text import cstring, with_program_name
from vmm.loader.view import ImageView

INFO_SIZE = 116

MEMORY, CMDLINE, MODULES, ELF_SECTIONS, MMAP, LOADER, FRAMEBUFFER = (
    1 << bit for bit in (0, 2, 3, 5, 6, 9, 12)
)


def place_info(
    layout: Layout,
    view: ImageView,
    request: BootRequest,
    image: LoadedImage,
    modules: tuple[PlacedModule, ...],
) -> int:
    """Place the structure and all it points to; return its address."""
    info = bytearray(INFO_SIZE)
    flags = MEMORY | CMDLINE | MODULES | MMAP | LOADER | FRAMEBUFFER
    sections = _place_sections(layout, image, modules)
    if sections:
        flags |= ELF_SECTIONS
        struct.pack_into("<IIII", info, 28, *sections)
    memory_map = mmap_entries(request.memory_map)
    command_line = cstring(view, with_program_name(view.path, request.append))
    for offset, value in (
        (0, flags),
        (4, lower_kib()),
        (8, upper_kib(request.memory_map)),
        (16, layout.handoff(command_line, "command line")),
        (20, len(modules)),
        (24, _place_modules(layout, view, modules)),
        (44, len(memory_map)),
        (48, layout.handoff(memory_map, "Multiboot memory map")),
        (64, layout.handoff(LOADER_NAME, "boot loader name")),
    ):
        struct.pack_into("<I", info, offset, value)
    struct.pack_into(
        "<QIIIBB", info, 88, TEXT_BUFFER, TEXT_COLUMNS * 2, TEXT_COLUMNS, TEXT_ROWS, 16, FRAMEBUFFER_EGA_TEXT
    )
    return layout.handoff(bytes(info), "Multiboot information")


def lower_kib() -> int:
    """Conventional memory in KiB."""
    return EBDA_BASE >> 10


def upper_kib(regions: tuple[Region, ...]) -> int:
    """KiB of RAM from 1 MiB to the first hole."""
    return next((r.size for r in regions if r.base == MIB and r.kind is RegionKind.RAM), 0) >> 10


def mmap_entries(regions: tuple[Region, ...]) -> bytes:
    """The memory map; each entry's size field counts what follows it."""
    return b"".join(struct.pack("<IQQI", 20, r.base, r.size, r.kind) for r in regions)


def _place_modules(layout: Layout, view: ImageView, modules: tuple[PlacedModule, ...]) -> int:
    entries = b"".join(
        struct.pack("<IIII", m.start, m.start + m.size, _place_args(layout, view, m), 0) for m in modules
    )
    return layout.handoff(entries, "Multiboot module list") if modules else 0


def _place_args(layout: Layout, view: ImageView, module: PlacedModule) -> int:
    return layout.handoff(cstring(view, with_program_name(module.path, module.args)), "module arguments")


def _place_sections(
    layout: Layout, image: LoadedImage, modules: tuple[PlacedModule, ...]
) -> tuple[int, int, int, int] | None:
    """{num, size, addr, shndx} of the ELF section table, or None without one."""
    if image.elf is None:
        return None
    low = max([image.end, *(module.start + module.size for module in modules)])
    table = place_symbol_sections(image.elf, layout, low)
    if not table:
        return None
    address = layout.handoff(table, "ELF section table")
    return image.elf.shnum, image.elf.shentsize, address, image.elf.shstrndx
