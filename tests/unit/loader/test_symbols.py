"""Proves that symbol tables answer both ways, agree with an independent reader, and shrug off damage."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from tests.unit.loader.builders import MIB, elf64, patch, plan, with_symbols
from vmm.errors import ImageError
from vmm.loader.symbols import SymbolTable, from_system_map

SYMBOLS = {"start": MIB, "_start": MIB, "main": MIB + 0x10, "halt": MIB + 0x40}


def test_lookup_gives_the_nearest_symbol_below() -> None:
    table = SymbolTable(SYMBOLS.items())
    assert table["main"] == MIB + 0x10
    assert table.lookup(MIB + 0x10) == ("main", 0)
    assert table.lookup(MIB + 0x3F) == ("main", 0x2F)
    assert table.lookup(MIB - 1) is None


def test_name_without_underscore_is_preferred() -> None:
    assert SymbolTable(SYMBOLS.items()).lookup(MIB + 1) == ("start", 1)


def test_elf_symbols_agree_with_pyelftools() -> None:
    image = with_symbols(elf64(), SYMBOLS)
    section = ELFFile(io.BytesIO(image)).get_section(1)
    assert isinstance(section, SymbolTableSection)
    expected = {symbol.name: symbol["st_value"] for symbol in section.iter_symbols() if symbol.name}
    assert dict(plan(image).symbols or {}) == expected == SYMBOLS


@pytest.mark.parametrize("offset", [8, 24, 32, 40])
def test_damaged_symbol_sections_do_not_keep_an_image_from_booting(offset: int) -> None:
    image = with_symbols(elf64(), SYMBOLS)
    symtab_header = int.from_bytes(image[40:48], "little") + 64
    planned = plan(patch(image, symtab_header + offset, "<Q", 0xFFFFFFFFFFFFFFFF))
    assert planned.protocol == "elf64"
    assert planned.symbols is None or set(planned.symbols) <= set(SYMBOLS)


def test_system_map(tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_text(
        "ffffffff81000000 T _text\nffffffff81000040 t secondary\nffffffffa0000000 t init\t[mod]\n"
    )
    table = from_system_map(path)
    assert table.lookup(0xFFFFFFFF81000044) == ("secondary", 4)
    assert len(table) == 3


def test_system_map_names_its_first_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_text("ffffffff81000000 T _text\nnot a line\n")
    with pytest.raises(ImageError, match="offset 0x19: not a line"):
        from_system_map(path)
