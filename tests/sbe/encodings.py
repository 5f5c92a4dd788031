"""Encodings of every form of the instruction table, with the prefixes it demands: input of several tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vmm.sbe.insn_table import Form, InsnTable

MODE_BITS = {16: 0, 32: 1, 64: 2}
_ESCAPES = {0: b"", 1: b"\x0f", 2: b"\x0f\x38", 3: b"\x0f\x3a"}
_PREFIXES = {
    "any": b"",
    "none": b"",
    "norep": b"",
    "66": b"\x66",
    "f2": b"\xf2",
    "f3": b"\xf3",
    "lock": b"\xf0",
}
_TAIL = bytes.fromhex("1122334455667788")


@dataclass(frozen=True, slots=True)
class Encoding:
    """`code` starts with an instruction of row `insn`; bytes behind it belong to nothing."""

    insn: int
    bits: int
    code: bytes


def encodings(table: InsnTable, bits: int) -> Iterator[Encoding]:
    """Every opcode of every form that exists in `bits`-wide code, with every ModRM it takes."""
    for form in table.forms:
        if form.mode_mask & 1 << MODE_BITS[bits]:
            for opcode in form.opcodes:
                yield from _with_modrm(form, bits, _ESCAPES[form.map] + bytes([opcode]))


def _with_modrm(form: Form, bits: int, opcode: bytes) -> Iterator[Encoding]:
    prefix = _PREFIXES[form.prefix]
    if form.modrm == "none":
        yield Encoding(form.insn, bits, prefix + opcode + _TAIL)
        return
    for reg in range(16):
        if form.reg_mask & 1 << reg and (reg < 8 or bits == 64):
            rex = b"\x44" if reg > 7 else b""
            for mod, rm in _places(form):
                modrm = bytes([mod << 6 | (reg & 7) << 3 | rm])
                yield Encoding(form.insn, bits, prefix + rex + opcode + modrm + _TAIL)


def _places(form: Form) -> list[tuple[int, int]]:
    registers = [(3, form.rm)] if form.rm >= 0 else [(3, rm) for rm in range(8)]
    memory = [(mod, rm) for mod in range(3) for rm in range(8)]
    return {"reg": registers, "control": registers, "mem": memory, "any": registers + memory}[form.modrm]
