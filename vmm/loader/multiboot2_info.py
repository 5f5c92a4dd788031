"""The Multiboot 2 boot information (section 3.4): {total size, 0}, tags padded to 8 bytes, end tag."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from vmm.loader.elf_sections import place_symbol_sections
from vmm.loader.layout import Layout
from vmm.loader.modules import PlacedModule
from vmm.loader.multiboot1_info import lower_kib, upper_kib
from vmm.loader.multiboot_image import (
    FRAMEBUFFER_EGA_TEXT,
    LOADER_NAME,
    TEXT_BUFFER,
    TEXT_COLUMNS,
    TEXT_ROWS,
    LoadedImage,
)
from vmm.loader.plan import BootRequest, Region
from vmm.loader.text import cstring, with_program_name
from vmm.loader.view import ImageView

END, CMDLINE, LOADER, MODULE, MEMORY = range(5)
MMAP, FRAMEBUFFER, ELF_SECTIONS, RSDP_V1, RSDP_V2, LOAD_BASE = 6, 8, 9, 14, 15, 21
OFFERED = frozenset(
    (CMDLINE, LOADER, MODULE, MEMORY, MMAP, FRAMEBUFFER, ELF_SECTIONS, RSDP_V1, RSDP_V2, LOAD_BASE)
)
"""What a kernel may insist on. The others describe EFI, APM, VBE, disks and networks, which are not there."""

RSDP_V1_SIZE = 20


def place_info(
    layout: Layout,
    view: ImageView,
    request: BootRequest,
    image: LoadedImage,
    modules: tuple[PlacedModule, ...],
    *,
    relocatable: bool,
) -> int:
    """Place the boot information; return its address."""
    tags = [
        *_texts(view, request, modules),
        *_memory(request),
        *_machine(request),
        *_sections(layout, image, modules),
    ]
    if relocatable:
        tags.append((LOAD_BASE, struct.pack("<I", image.start)))
    body = b"".join(_encode(kind, data) for kind, data in [*tags, (END, b"")])
    return layout.handoff(struct.pack("<II", len(body) + 8, 0) + body, "Multiboot 2 information")


def _encode(kind: int, data: bytes) -> bytes:
    """A tag's size counts its head and data, not the padding behind it."""
    tag = struct.pack("<II", kind, 8 + len(data)) + data
    return tag.ljust((len(tag) + 7) & ~7, b"\0")


def _texts(
    view: ImageView, request: BootRequest, modules: tuple[PlacedModule, ...]
) -> Iterator[tuple[int, bytes]]:
    # The specification does not say whether the kernel's name comes first. Xen drops the first word unless
    # the loader calls itself GRUB 2, so it does, as in Multiboot 1.
    yield CMDLINE, cstring(view, with_program_name(view.path, request.append))
    yield LOADER, LOADER_NAME
    for module in modules:
        args = cstring(view, with_program_name(module.path, module.args))
        yield MODULE, struct.pack("<II", module.start, module.start + module.size) + args


def _memory(request: BootRequest) -> Iterator[tuple[int, bytes]]:
    yield MEMORY, struct.pack("<II", lower_kib(), upper_kib(request.memory_map))
    yield MMAP, struct.pack("<II", 24, 0) + b"".join(map(_map_entry, request.memory_map))


def _map_entry(region: Region) -> bytes:
    return struct.pack("<QQII", region.base, region.size, region.kind, 0)


def _machine(request: BootRequest) -> Iterator[tuple[int, bytes]]:
    yield (
        FRAMEBUFFER,
        struct.pack(
            "<QIIIBBH", TEXT_BUFFER, TEXT_COLUMNS * 2, TEXT_COLUMNS, TEXT_ROWS, 16, FRAMEBUFFER_EGA_TEXT, 0
        ),
    )
    if len(request.rsdp_bytes) >= RSDP_V1_SIZE:
        yield RSDP_V1, request.rsdp_bytes[:RSDP_V1_SIZE]
    if len(request.rsdp_bytes) > RSDP_V1_SIZE:
        yield RSDP_V2, request.rsdp_bytes


def _sections(
    layout: Layout, image: LoadedImage, modules: tuple[PlacedModule, ...]
) -> Iterator[tuple[int, bytes]]:
    if image.elf is None:
        return
    low = max([image.end, *(module.start + module.size for module in modules)])
    table = place_symbol_sections(image.elf, layout, low)
    if table:
        yield (
            ELF_SECTIONS,
            struct.pack("<III", image.elf.shnum, image.elf.shentsize, image.elf.shstrndx) + table,
        )
