"""Multiboot 2 (Multiboot2 Specification 2.0): a header of tags in the first 32 KiB, flat 32-bit entry.

Left out: EFI (a kernel's EFI entries are ignored, as the specification wants on a BIOS machine) and graphics
modes. A relocatable kernel is loaded where it was linked and told so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vmm.errors import ImageError
from vmm.loader.bios_area import place_bios_area
from vmm.loader.elf import is_elf
from vmm.loader.format import Format
from vmm.loader.handoff import place_stack, protected_cpu
from vmm.loader.layout import Layout
from vmm.loader.modules import place_modules
from vmm.loader.multiboot2_info import OFFERED, place_info
from vmm.loader.multiboot_image import AddressFields, LoadedImage, place_by_fields, place_elf
from vmm.loader.plan import BootPlan, BootRequest
from vmm.loader.view import ImageView

MAGIC = 0xE85250D6
BOOTLOADER_MAGIC = 0x36D76289
SEARCH_LIMIT = 32768
ARCH_I386 = 0

TAG_END, TAG_INFORMATION, TAG_ADDRESS, TAG_ENTRY, TAG_CONSOLE, TAG_FRAMEBUFFER = range(6)
TAG_RELOCATABLE = 10
TAGS_KNOWN = range(11)
OPTIONAL = 1
LOAD_FROM_FILE_START = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Tag:
    """One header tag; `offset` is its own place in the file, `data` what follows its 8-byte head."""

    type: int
    optional: bool
    offset: int
    data: bytes

    def words(self, view: ImageView, count: int) -> tuple[int, ...]:
        """The first `count` 32-bit words of the data; ImageError when the tag is shorter."""
        if len(self.data) < 4 * count:
            raise view.error(f"Multiboot 2 tag {self.type} is too short", offset=self.offset)
        return struct.unpack_from(f"<{count}I", self.data)


def probe(view: ImageView) -> bool:
    """A header with the right checksum, and a way to load the file: an address tag or ELF headers."""
    header = _find(view)
    if header is None or is_elf(view):
        return header is not None
    try:
        return any(tag.type == TAG_ADDRESS for tag in _tags(view, header, view.u32(header + 8, "its length")))
    except ImageError:
        return True  # a damaged header is one all the same: `plan` says what is wrong with it


def plan(view: ImageView, request: BootRequest) -> BootPlan:
    """Plan for a Multiboot 2 kernel."""
    header = _find(view)
    if header is None:
        raise view.error(f"no Multiboot 2 header in the first {SEARCH_LIMIT} bytes")
    tags = {tag.type: tag for tag in _checked_tags(view, header)}
    layout = Layout(view, request)
    image = _place(view, layout, header, tags)
    place_bios_area(layout)
    modules = place_modules(layout, view, request, image.end)
    info = place_info(layout, view, request, image, modules, relocatable=TAG_RELOCATABLE in tags)
    registers = {"rax": BOOTLOADER_MAGIC, "rbx": info, "rsp": place_stack(layout)}
    cpu = protected_cpu(layout, image.entry, registers)
    notes = ("the kernel prefers a video mode; it gets 80x25 text",) if TAG_FRAMEBUFFER in tags else ()
    return BootPlan("multiboot2", view.path, layout.blobs, cpu, None, image.symbols, notes)


def _find(view: ImageView) -> int | None:
    for at in view.find_aligned(struct.pack("<I", MAGIC), 8, SEARCH_LIMIT):
        if at + 16 <= len(view) and sum(view.unpack("<4I", at, "the Multiboot 2 header")) & 0xFFFFFFFF == 0:
            return at
    return None


def _checked_tags(view: ImageView, header: int) -> Iterator[_Tag]:
    """Every tag; ImageError for one that must be understood and is not, or asks for what we do not have."""
    architecture, length = view.unpack("<II", header + 4, "the Multiboot 2 header")
    if architecture != ARCH_I386:
        raise view.error(
            f"the Multiboot 2 header is for architecture {architecture}, not i386", offset=header + 4
        )
    for tag in _tags(view, header, length):
        if tag.type not in TAGS_KNOWN and not tag.optional:
            raise view.error(f"the Multiboot 2 header requires unknown tag {tag.type}", offset=tag.offset)
        if tag.type == TAG_INFORMATION and not tag.optional:
            wanted = set(tag.words(view, len(tag.data) // 4)) - OFFERED
            if wanted:
                numbers = ", ".join(map(str, sorted(wanted)))
                raise view.error(
                    f"the kernel requires boot information {numbers}, not offered", offset=tag.offset
                )
        yield tag


def _tags(view: ImageView, header: int, length: int) -> Iterator[_Tag]:
    end = header + length
    if length < 16 or end > len(view):
        raise view.error(f"a Multiboot 2 header of {length} bytes does not fit the file", offset=header + 8)
    at = header + 16
    while at + 8 <= end:
        kind, flags, size = view.unpack("<HHI", at, "a Multiboot 2 tag")
        if kind == TAG_END:
            return
        if size < 8 or at + size > end:
            raise view.error(f"Multiboot 2 tag {kind} of {size} bytes does not fit the header", offset=at)
        yield _Tag(kind, bool(flags & OPTIONAL), at, view.data[at + 8 : at + size])
        at += (size + 7) & ~7
    raise view.error("the Multiboot 2 header has no end tag", offset=header)


def _place(view: ImageView, layout: Layout, header: int, tags: dict[int, _Tag]) -> LoadedImage:
    entry = tags[TAG_ENTRY].words(view, 1)[0] if TAG_ENTRY in tags else None
    if TAG_ADDRESS not in tags:
        return _check_entry(view, place_elf(view, layout, entry), tags)
    if entry is None:
        raise view.error("an address tag without an entry tag", offset=tags[TAG_ADDRESS].offset)
    header_addr, load_addr, load_end, bss_end = tags[TAG_ADDRESS].words(view, 4)
    if load_addr == LOAD_FROM_FILE_START:
        load_addr = header_addr - header
    fields = AddressFields(header, tags[TAG_ADDRESS].offset, header_addr, load_addr, load_end, bss_end)
    return place_by_fields(view, layout, fields, entry)


def _check_entry(view: ImageView, image: LoadedImage, tags: dict[int, _Tag]) -> LoadedImage:
    if not image.start <= image.entry < image.end:
        raise view.error(f"the entry {image.entry:#x} is outside the image", offset=tags[TAG_ENTRY].offset)
    return image


FORMAT = Format("multiboot2", ("multiboot2",), probe, plan)
