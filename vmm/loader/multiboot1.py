"""Multiboot 1 (Multiboot Specification 0.6.96): header in the first 8 KiB, entered in flat 32-bit mode.

ELF32, ELF64 (its entry is 32-bit code all the same) and any file with address fields. Left out: graphics
modes; a kernel that prefers one gets the text screen.
"""

from __future__ import annotations

import struct

from vmm.loader.bios_area import place_bios_area
from vmm.loader.elf import is_elf
from vmm.loader.format import Format
from vmm.loader.handoff import place_stack, protected_cpu
from vmm.loader.layout import Layout
from vmm.loader.modules import place_modules
from vmm.loader.multiboot1_info import place_info
from vmm.loader.multiboot_image import AddressFields, LoadedImage, place_by_fields, place_elf
from vmm.loader.plan import BootPlan, BootRequest
from vmm.loader.view import ImageView

MAGIC = 0x1BADB002
BOOTLOADER_MAGIC = 0x2BADB002
SEARCH_LIMIT = 8192
REQUIRED_KNOWN = 0x0007
"""Page-aligned modules, memory information, video mode: the must-understand bits there are."""
WANTS_VIDEO, HAS_ADDRESSES = 1 << 2, 1 << 16


def probe(view: ImageView) -> bool:
    """A header with the right checksum, and a way to load the file: address fields or ELF headers."""
    header = _find(view)
    return header is not None and (is_elf(view) or bool(view.u32(header + 4, "flags") & HAS_ADDRESSES))


def plan(view: ImageView, request: BootRequest) -> BootPlan:
    """Plan for a Multiboot 1 kernel."""
    header = _find(view)
    if header is None:
        raise view.error(f"no Multiboot header in the first {SEARCH_LIMIT} bytes")
    flags = view.u32(header + 4, "the Multiboot header")
    unknown = flags & 0xFFFF & ~REQUIRED_KNOWN
    if unknown:
        raise view.error(f"the Multiboot header requires unknown features {unknown:#x}", offset=header + 4)
    layout = Layout(view, request)
    image = _place(view, layout, header, flags)
    place_bios_area(layout)
    modules = place_modules(layout, view, request, image.end)
    info = place_info(layout, view, request, image, modules)
    registers = {"rax": BOOTLOADER_MAGIC, "rbx": info, "rsp": place_stack(layout)}
    cpu = protected_cpu(layout, image.entry, registers)
    notes = ("the kernel prefers a video mode; it gets 80x25 text",) if flags & WANTS_VIDEO else ()
    return BootPlan("multiboot1", view.path, layout.blobs, cpu, None, image.symbols, notes)


def _find(view: ImageView) -> int | None:
    """Offset of the first header whose magic, flags and checksum sum to zero."""
    for at in view.find_aligned(struct.pack("<I", MAGIC), 4, SEARCH_LIMIT):
        if at + 12 <= len(view) and sum(view.unpack("<III", at, "the Multiboot header")) & 0xFFFFFFFF == 0:
            return at
    return None


def _place(view: ImageView, layout: Layout, header: int, flags: int) -> LoadedImage:
    if not flags & HAS_ADDRESSES:
        return place_elf(view, layout, None)
    header_addr, load_addr, load_end, bss_end, entry = view.unpack("<5I", header + 12, "the address fields")
    fields = AddressFields(header, header + 12, header_addr, load_addr, load_end, bss_end)
    return place_by_fields(view, layout, fields, entry)


FORMAT = Format("multiboot1", ("multiboot1",), probe, plan)
