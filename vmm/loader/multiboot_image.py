"""What Multiboot 1 and 2 have in common: getting the kernel into memory, and where it is then entered.

Either the header's address fields say where the file's bytes go ("a.out kludge": any file format will do),
or the program headers of an ELF file do.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmm.loader import elf, symbols
from vmm.loader.elf_image import place_segments
from vmm.loader.layout import Layout
from vmm.loader.symbols import SymbolTable
from vmm.loader.view import ImageView

LOADER_NAME = b"vmm\0"
TEXT_BUFFER, TEXT_COLUMNS, TEXT_ROWS = 0xB8000, 80, 25
FRAMEBUFFER_EGA_TEXT = 2


@dataclass(frozen=True, slots=True)
class AddressFields:
    """The header's physical addresses; load_end 0 means up to the end of the file, bss_end 0 no BSS.

    `header_offset` is where the header is in the file, `offset` where these fields are, for messages.
    """

    header_offset: int
    offset: int
    header_addr: int
    load_addr: int
    load_end: int
    bss_end: int


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """A kernel in memory: physical entry, its range, and its ELF headers if it has any."""

    entry: int
    start: int
    end: int
    elf: elf.Elf | None
    symbols: SymbolTable | None


def place_by_fields(view: ImageView, layout: Layout, fields: AddressFields, entry: int) -> LoadedImage:
    """Load as the address fields say; ImageError when they contradict each other or the file."""
    start = fields.load_addr
    file_start = fields.header_offset - (fields.header_addr - start)
    if start > fields.header_addr or file_start < 0:
        raise view.error(
            f"load_addr {start:#x} does not fit header_addr {fields.header_addr:#x} "
            f"of a header at {fields.header_offset:#x}",
            offset=fields.offset,
        )
    load_end = fields.load_end or start + len(view) - file_start
    end = fields.bss_end or load_end
    if not start < load_end <= end:
        raise view.error(
            f"load_addr {start:#x}, load_end {load_end:#x}, bss_end {end:#x} are out of order",
            offset=fields.offset,
        )
    if not start <= entry < end:
        raise view.error(f"the entry {entry:#x} is outside {start:#x}..{end:#x}", offset=fields.offset)
    data = view.bytes_at(file_start, load_end - start, "the Multiboot image")
    layout.fixed(start, data, "the Multiboot image", size=end - start, offset=fields.offset)
    return LoadedImage(entry, start, end, None, None)


def place_elf(view: ImageView, layout: Layout, entry: int | None) -> LoadedImage:
    """Load by program headers; `entry` overrides e_entry."""
    image = elf.parse(view)
    end = place_segments(image, layout)
    if entry is None:
        entry = image.physical_entry()
    start = min(load.paddr for load in image.loads)
    return LoadedImage(entry, start, end, image, symbols.from_elf(image))
