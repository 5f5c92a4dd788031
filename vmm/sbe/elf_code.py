"""Code and entry points of an ELF image for the static walk."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import P_FLAGS, SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from vmm.errors import ImageError
from vmm.sbe.static_walk import Entry, Region

_WIDTHS = {"EM_386": 32, "EM_X86_64": 64}


def elf_code(path: Path, data: bytes) -> tuple[list[Region], list[Entry]]:
    """Code at its virtual addresses, and the entry point followed by every function symbol.

    Code is the executable sections, or the executable segments where sections were stripped: those hold
    constants too, which `code_pointers` would take for functions. `path` is for messages only. Raises
    ImageError if `data` is no ELF file for x86 or lies about where things are.
    """
    try:
        elf = ELFFile(BytesIO(data))
        bits = _WIDTHS[elf["e_machine"]]
        regions = _code_sections(elf) or _code_segments(elf)
        addresses = dict.fromkeys([elf["e_entry"], *_functions(elf)])
    except KeyError as error:
        raise ImageError(path, f"machine {error} is not x86", remedy="give an x86 image") from error
    except (ELFError, ValueError, OverflowError, AttributeError, TypeError) as error:
        raise ImageError(path, f"broken ELF file: {error}", remedy="rebuild or copy it again") from error
    return regions, [Entry(address, bits) for address in addresses]


def _code_sections(elf: ELFFile) -> list[Region]:
    wanted = SH_FLAGS.SHF_ALLOC | SH_FLAGS.SHF_EXECINSTR
    return [
        Region(section["sh_addr"], section.data())
        for section in elf.iter_sections("SHT_PROGBITS")
        if section["sh_flags"] & wanted == wanted and section["sh_size"]
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


def code_pointers(data: bytes, code: Sequence[Region], bits: int, *, alignment: int = 16) -> list[Entry]:
    """Entries that words of `data` point to: for images without symbols, which call through tables.

    A word counts if it is the address of an `alignment`-aligned byte of `code`; compilers align functions so.
    """
    size, letter = (8, "Q") if bits == 64 else (4, "I")
    words = struct.unpack(f"<{len(data) // size}{letter}", data[: len(data) // size * size])
    return [
        Entry(word, bits) for word in dict.fromkeys(words) if word % alignment == 0 and _within(word, code)
    ]


def _within(address: int, regions: Iterable[Region]) -> bool:
    return any(region.address <= address < region.end for region in regions)
