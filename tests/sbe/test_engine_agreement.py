"""Proves that engine and scanner measure instructions alike.

Where the engine sees an instruction of the table, or one that Capstone refuses, it has the length we say it
has. Were it otherwise, a replacement would shift the block.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest

from tests.sbe.encodings import encodings
from tests.sbe.library import Scanner, parse_hex
from vmm.sbe.insn_table import InsnTable

# The binding marks itself typed, but exports no names and leaves its functions unannotated.
unicorn: Any = import_module("unicorn")
MODES = {16: unicorn.UC_MODE_16, 32: unicorn.UC_MODE_32, 64: unicorn.UC_MODE_64}
BASE, ROOM, STEP = 0x1000, 0xF000, 32
# Undefined to the engine, which then tells how far it read, not how long the instruction is, or aborts.
UNDEFINED = {"INVPCID", "LOCK_BIT_TEST"}
# Run by the engine, refused by Capstone 5: LOCK out of place, rare hint NOPs, prefetches, fences and NOPs.
REFUSED = """
    f089c8 f001d8 f00fb6c0 f00fafc1 f0b044 f00fc8 f085c0 f0a4 f00f42c1 f0e460 0f1ac0 0f1bc8 0f1cc0
    0f1dc0 0f1ef1 660f1ec8 0f0d3f 440faeec 440faee9 f00fa2 f00f31 f00f32
    """.split()  # noqa: SIM905 - a list of words reads better than a column of quotes


class Engine:
    """Unicorn asked for one thing: how long it thinks the instruction at an address is."""

    def __init__(self, bits: int) -> None:
        self._uc = unicorn.Uc(unicorn.UC_ARCH_X86, MODES[bits])
        self._uc.mem_map(BASE, ROOM)
        self._at = BASE
        self._length = 0
        self._uc.hook_add(unicorn.UC_HOOK_CODE, self._on_code)

    def length(self, code: bytes) -> int | None:
        """None: the engine calls it undefined."""
        self._at += STEP
        self._uc.mem_write(self._at, code.ljust(STEP, b"\x90"))
        self._length = 0
        with suppress(unicorn.UcError):
            self._uc.emu_start(self._at, 0, count=1)
        return self._length if 0 < self._length <= 15 else None

    def room(self) -> bool:
        return self._at + 2 * STEP < BASE + ROOM

    def _on_code(self, uc: Any, _address: int, size: int, _data: object) -> None:
        self._length = self._length or size
        uc.emu_stop()


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_table_lengths_are_the_engines(table: InsnTable, bits: int) -> None:
    engine = Engine(bits)
    compared = set()
    for encoding in encodings(table, bits):
        row = table.rows[encoding.insn]
        if row.full != "trap" or row.id in UNDEFINED:
            continue
        if not engine.room():
            engine = Engine(bits)
        known = table.identify(bits, encoding.code)
        length = engine.length(encoding.code)
        assert known is not None
        if length is not None:
            assert length == known[1], (encoding.code.hex(" "), row.id)
            compared.add(row.id)
    assert len(compared) > 40


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("code", REFUSED)
def test_length_of_what_capstone_refuses_is_the_engines(adaptive: Scanner, bits: int, code: str) -> None:
    if bits == 32 and code.startswith("44"):
        code = code[2:]
    first = parse_hex(code)
    assert Engine(bits).length(first) == len(first)
    scan = adaptive.block(str(bits), first + b"\x0f\x32" + b"\xc3" * 30, len(first) + 2)
    assert scan.patches[-1].pc == 0x1000 + len(first)
