"""Names for addresses: from an ELF symbol table or a kernel's System.map."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from vmm.errors import ImageError
from vmm.loader.elf import SHT_SYMTAB, Elf
from vmm.loader.view import read_file

MAX_SYSTEM_MAP = 64 << 20
MAX_SYMBOL_TABLE = 64 << 20
MAX_NAME = 1024
MAX_OFFSET = 16 << 10
STT_NOTYPE, STT_OBJECT, STT_FUNC = 0, 1, 2

_SYSTEM_MAP_LINE = re.compile(rb"([0-9a-fA-F]{1,16}) [a-zA-Z?] (\S+)(?:\t\[\S+\])?\s*\Z")


class SymbolTable(Mapping[str, int]):
    """Symbol name -> address, and back: `lookup` finds the symbol an address is in."""

    def __init__(self, symbols: Iterable[tuple[str, int]]) -> None:
        self._by_name = dict(symbols)
        # One name per address: names without a leading underscore win (`startup_64` before `_stext`).
        ranked = sorted(self._by_name, key=lambda name: (not name.startswith("_"), name))
        by_address = {self._by_name[name]: name for name in ranked}
        self._addresses = sorted(by_address)
        self._names = [by_address[address] for address in self._addresses]

    def __getitem__(self, name: str) -> int:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def lookup(self, address: int) -> tuple[str, int] | None:
        """(name, offset) of the nearest symbol at or below `address`; None below the first one."""
        index = bisect_right(self._addresses, address) - 1
        return (self._names[index], address - self._addresses[index]) if index >= 0 else None

    def name(self, address: int) -> str:
        """`symbol+0x12` for an address; empty for one that is in no symbol, or far behind the last."""
        found = self.lookup(address)
        if found is None or found[1] > MAX_OFFSET:
            return ""
        return f"{found[0]}+{found[1]:#x}" if found[1] else found[0]


def from_elf(elf: Elf) -> SymbolTable | None:
    """Functions, objects and labels of the image's symbol table.

    None when it has none, or a damaged one: symbols only decorate, so they never keep an image from booting.
    """
    try:
        symbols = list(_elf_symbols(elf))
    except ImageError:
        return None
    return SymbolTable(symbols) if symbols else None


def _elf_symbols(elf: Elf) -> Iterator[tuple[str, int]]:
    sections = elf.sections()
    table = next((section for section in sections if section.type == SHT_SYMTAB), None)
    if table is None or table.link >= len(sections) or table.size > MAX_SYMBOL_TABLE:
        return
    strings = sections[table.link]
    names = elf.view.bytes_at(strings.offset, strings.size, "the ELF string table")
    for name_offset, kind, value in elf.symbols(table):
        end = names.find(b"\0", name_offset, name_offset + MAX_NAME)
        if kind in (STT_NOTYPE, STT_OBJECT, STT_FUNC) and value and name_offset < end:
            yield names[name_offset:end].decode("utf-8", "replace"), value


def from_system_map(path: Path) -> SymbolTable:
    """Parse `address type name` lines as `nm` writes them; ImageError at the first that is not one."""
    symbols: list[tuple[str, int]] = []
    at = 0
    for line in read_file(path, "symbol map", MAX_SYSTEM_MAP).splitlines(keepends=True):
        match = _SYSTEM_MAP_LINE.match(line)
        if not match:
            raise ImageError(path, "not a line of a System.map (address, type, name)", offset=at)
        symbols.append((match[2].decode("utf-8", "replace"), int(match[1], 16)))
        at += len(line)
    return SymbolTable(symbols)
