"""The section table as Multiboot hands it to a kernel, so that it can name its own functions."""

from __future__ import annotations

import struct

from vmm.errors import ImageError
from vmm.loader.elf import SHT_STRTAB, SHT_SYMTAB, Elf, Section
from vmm.loader.layout import Layout
from vmm.loader.memory_map import MIB

MAX_SECTIONS = 256
MAX_BYTES = 32 << 20


def place_symbol_sections(image: Elf, layout: Layout, low: int) -> bytes:
    """Put symbol and string tables above `low`; return the section headers with those addresses in sh_addr.

    Empty when the image has no section table, or one too odd to hand on: it is optional information.
    """
    try:
        sections = image.sections()
        contents = {index: _content(image, section) for index, section in enumerate(sections)}
    except ImageError:
        return b""
    total = sum(len(content) for content in contents.values())
    if not 0 < len(sections) <= MAX_SECTIONS or total > MAX_BYTES:
        return b""
    table = bytearray(image.view.bytes_at(image.shoff, image.shentsize * image.shnum, "the section table"))
    where, layout_code = (12, "<I") if image.bits == 32 else (16, "<Q")
    for index, content in contents.items():
        if content:
            address = layout.up(content, f"ELF section {index}", low=max(low, MIB))
            struct.pack_into(layout_code, table, index * image.shentsize + where, address)
    return bytes(table)


def _content(image: Elf, section: Section) -> bytes:
    """Bytes of a symbol or string table that no segment loads; b"" for other sections."""
    if section.type not in (SHT_SYMTAB, SHT_STRTAB) or section.addr or section.size > MAX_BYTES:
        return b""
    return image.view.bytes_at(section.offset, section.size, "a symbol section")
