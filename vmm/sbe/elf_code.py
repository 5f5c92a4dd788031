"""Code and entry points of an ELF image for the static walk."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from mmap import mmap
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import P_FLAGS, SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from vmm.errors import ImageError
from vmm.sbe.static_walk import Entry, Region

_WIDTHS = {"EM_386": 32, "EM_X86_64": 64}
_LOADED_CODE = SH_FLAGS.SHF_ALLOC | SH_FLAGS.SHF_EXECINSTR
_TABLE_SHARE = 0.9


def elf_code(path: Path, data: bytes | mmap) -> tuple[list[Region], list[Entry]]:
    """Code at its virtual addresses, and the entry point followed by every function symbol.

    Code is the executable sections, or the executable segments where sections were stripped: those hold
    constants too, which `code_pointers` would take for functions. `path` is for messages only. Raises
    ImageError if `data` is no ELF file for x86 or lies about where things are.
    """
    with _reading(path):
        elf = ELFFile(BytesIO(data))
        bits = _WIDTHS[elf["e_machine"]]
        regions = _code_sections(elf) or _code_segments(elf)
        addresses = dict.fromkeys([elf["e_entry"], *_functions(elf)])
        return regions, [Entry(address, bits) for address in addresses]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What the ELF library raises for a broken file, as ImageError."""
    try:
        yield
    except KeyError as error:
        raise ImageError(path, f"machine {error} is not x86", remedy="give an x86 image") from error
    except (ELFError, ValueError, OverflowError, AttributeError, TypeError) as error:
        raise ImageError(path, f"broken ELF file: {error}", remedy="rebuild or copy it again") from error


def _code_sections(elf: ELFFile) -> list[Region]:
    return [
        Region(section["sh_addr"], section.data())
        for section in elf.iter_sections("SHT_PROGBITS")
        if section["sh_flags"] & _LOADED_CODE == _LOADED_CODE and section["sh_size"]
    ]


def _code_segments(elf: ELFFile) -> list[Region]:
    return [
        Region(segment["p_vaddr"], segment.data())
        for segment in elf.iter_segments("PT_LOAD")
        if segment["p_flags"] & P_FLAGS.PF_X and segment["p_filesz"]
    ]


def _functions(elf: ELFFile) -> list[int]:
    tables = [section for section in elf.iter_sections() if isinstance(section, SymbolTableSection)]
    return [
        symbol["st_value"]
        for table in tables
        for symbol in table.iter_symbols()
        if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF"
    ]


def load_addresses(path: Path, data: bytes | mmap) -> list[tuple[int, int, int]]:
    """(where it is loaded, where it is linked, length) of segments that run at both: a kernel's first code,
    before it turns paging on. Raises ImageError as `elf_code` does."""
    with _reading(path):
        return [
            (segment["p_paddr"], segment["p_vaddr"], segment["p_filesz"])
            for segment in ELFFile(BytesIO(data)).iter_segments("PT_LOAD")
            if segment["p_paddr"] != segment["p_vaddr"]
        ]


def code_pointers(
    data: bytes | mmap, code: Sequence[Region], bits: int, *, alignment: int = 16
) -> list[Entry]:
    """Entries that words of `data` point to: for images without symbols, which call through tables.

    A word counts if it is the address of an `alignment`-aligned byte of `code`; compilers align functions so.
    """
    size, letter = (8, "Q") if bits == 64 else (4, "I")
    words = struct.unpack(f"<{len(data) // size}{letter}", data[: len(data) // size * size])
    return [
        Entry(word, bits) for word in dict.fromkeys(words) if word % alignment == 0 and _within(word, code)
    ]


def relative_pointers(tables: Iterable[Region], code: Sequence[Region], bits: int) -> list[Entry]:
    """Entries that tables of 32-bit offsets, each counted from its own place, lead to.

    Kernels have such tables of instructions: where the unwinder's state changes (every function's start is
    one), where jumps and locks are patched. A section is one if nearly all of its words lead into `code`:
    in others a small negative number would look like an offset.
    """
    spans = [(region.address, region.end) for region in code]
    found: dict[int, None] = {}
    for table in tables:
        words = [offset for (offset,) in struct.iter_unpack("<i", table.data[: len(table.data) // 4 * 4])]
        targets = (table.address + 4 * index + offset for index, offset in enumerate(words))
        leading = [target for target in targets if any(start <= target < end for start, end in spans)]
        if len(leading) > _TABLE_SHARE * len(words):
            found.update(dict.fromkeys(leading))
    return [Entry(target, bits) for target in found]


def elf_tables(path: Path, data: bytes | mmap) -> list[Region]:
    """What is loaded beside code, section by section; nothing where there are no sections. Raises ImageError
    as `elf_code` does."""
    with _reading(path):
        return [
            Region(section["sh_addr"], section.data())
            for section in ELFFile(BytesIO(data)).iter_sections("SHT_PROGBITS")
            if section["sh_flags"] & _LOADED_CODE == SH_FLAGS.SHF_ALLOC and section["sh_size"]
        ]


def _within(address: int, regions: Iterable[Region]) -> bool:
    return any(region.address <= address < region.end for region in regions)
