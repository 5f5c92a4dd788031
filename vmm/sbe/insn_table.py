"""The table of privileged and sensitive instructions, read once from the monitor's library.

The rows are written in `csrc/sbe/insns.def`; everything here is what `csrc/include/vmk_sbe_table.h` says of
them, so that commands, documentation and benchmarks enumerate the table that the scanner uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

ESCAPE = 0x0F
# enum sbe_mode by the width of code; virtual-8086 code decodes as 16-bit code.
_MODE_NUMBERS = {16: 0, 32: 1, 64: 2}


@dataclass(frozen=True, slots=True)
class Insn:
    """One row: an instruction or a family that is treated alike.

    `full` and `adaptive` are the profiles' policies and `allowed` what may be chosen instead, each `native`,
    `trap` or `inline`; `trap_modes` are CPU modes (`16 32 64 vm86`); `inline_asm` is Intel syntax, or None.
    """

    number: int
    id: str
    mnemonic: str
    class_name: str
    kind: str
    full: str
    adaptive: str
    allowed: tuple[str, ...]
    shape: str
    trap_modes: tuple[str, ...]
    inline_asm: str | None
    why: str
    capstone_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """One encoding of row `insn`. `reg_mask` has a bit per permitted ModRM.reg, `rm` is -1 where any will do,
    `mode_mask` has a bit per `enum sbe_mode`."""

    insn: int
    map: int
    opcodes: range
    prefix: str
    modrm: str
    reg_mask: int
    rm: int
    mode_mask: int


class InsnTable:
    """Rows, forms and classes, and the recognition of an instruction by its bytes.

    `ffi` and `lib` are a cffi pair that declares `vmk_sbe_table.h`.
    """

    def __init__(self, ffi: Any, lib: Any) -> None:
        self._ffi = ffi
        self._lib = lib
        self._length = ffi.new("unsigned *")
        self.rows = tuple(self._row(number) for number in range(lib.vmk_sbe_insn_count()))
        self.forms = tuple(self._form(index) for index in range(lib.vmk_sbe_form_count()))

    @cached_property
    def by_id(self) -> Mapping[str, Insn]:
        """Rows by the name they have in `enum sbe_insn`, without `SBE_INSN_`."""
        return {row.id: row for row in self.rows}

    @cached_property
    def classes(self) -> Mapping[str, str]:
        """What each statistics class counts, in the order of `enum sbe_class`."""
        lib = self._lib
        numbers = range(lib.vmk_sbe_class_count())
        return {self._text(lib.vmk_sbe_class_name(n)): self._text(lib.vmk_sbe_class_text(n)) for n in numbers}

    def identify(self, bits: int, code: bytes) -> tuple[Insn, int] | None:
        """(row, length in bytes) of the sensitive instruction that `bits`-wide `code` starts with, or None.

        Raises KeyError if `bits` is not 16, 32 or 64.
        """
        if self._opcode_bytes.isdisjoint(code):
            return None
        number = self._lib.vmk_sbe_identify(_MODE_NUMBERS[bits], code, len(code), self._length)
        return None if number < 0 else (self.rows[number], int(self._length[0]))

    @cached_property
    def _opcode_bytes(self) -> frozenset[int]:
        """Without one of these bytes no instruction of the table is there: saves most calls into C."""
        return frozenset(
            opcode for form in self.forms for opcode in (form.opcodes if form.map == 0 else (ESCAPE,))
        )

    def _row(self, number: int) -> Insn:
        info = self._ffi.new("struct vmk_sbe_insn_info *")
        self._lib.vmk_sbe_insn(number, info)
        return Insn(
            number=number,
            id=self._text(info.id),
            mnemonic=self._text(info.mnemonic),
            class_name=self._text(info.class_name),
            kind=self._text(info.kind),
            full=self._text(info.full),
            adaptive=self._text(info.adaptive),
            allowed=tuple(self._text(info.allowed).split()),
            shape=self._text(info.shape),
            trap_modes=tuple(self._text(info.trap_modes).split()),
            inline_asm=self._text(info.inline_asm) if info.inline_asm else None,
            why=self._text(info.why),
            capstone_ids=tuple(int(n) for n in info.capstone_ids if n),
        )

    def _form(self, index: int) -> Form:
        info = self._ffi.new("struct vmk_sbe_form_info *")
        self._lib.vmk_sbe_form(index, info)
        return Form(
            insn=int(info.insn),
            map=int(info.map),
            opcodes=range(info.opcode_first, info.opcode_last + 1),
            prefix=self._text(info.prefix),
            modrm=self._text(info.modrm),
            reg_mask=int(info.reg_mask),
            rm=int(info.rm),
            mode_mask=int(info.modes),
        )

    def _text(self, pointer: Any) -> str:
        return str(self._ffi.string(pointer).decode())
