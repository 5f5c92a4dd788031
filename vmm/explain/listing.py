"""Disassembly around an instruction. Forwards is easy; backwards x86 is ambiguous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vmm.machine.disassembly import Instruction, disassemble
from vmm.sbe.static_walk import MAX_INSN

BEFORE, AFTER = 4, 4
REACH = BEFORE * MAX_INSN


@dataclass(frozen=True, slots=True)
class Listing:
    """Instructions in order, `here` the index of the one it is about. `guessed`: those before it are the most
    likely reading of the bytes, not one that was followed from an entry point."""

    lines: tuple[Instruction, ...]
    here: int
    guessed: bool = False


def alone(code: bytes, address: int, bits: int) -> Listing:
    """A listing of the instruction itself, where nothing is known around it."""
    return Listing((_one(code, address, bits),), 0)


def around(
    data: bytes, start: int, address: int, size: int, bits: int, starts: bytes | None = None
) -> Listing:
    """The instruction of `size` bytes at `address`, and its neighbours in `data`, which lies at `start`.

    `starts` marks where instructions are known to begin in `data`.
    """
    at = address - start
    known = _marked(data, start, at, bits, starts) if starts is not None else []
    before = known or _guessed(data, start, at, bits)
    site = _one(data[at : at + size], address, bits)
    rest = data[at + size : at + size + AFTER * MAX_INSN]
    behind = disassemble(rest, address + size, bits, AFTER)
    return Listing((*before, site, *behind), len(before), bool(before) and not known)


def _one(code: bytes, address: int, bits: int) -> Instruction:
    """All of `code` as one instruction, also where the disassembler does not know it."""
    found = disassemble(code, address, bits, 1)
    text = found[0].text if found and found[0].code == code else "(not known to the disassembler)"
    return Instruction(address, code, text)


def _marked(data: bytes, start: int, at: int, bits: int, starts: bytes) -> list[Instruction]:
    """Neighbours before offset `at` that are marked and follow each other without a gap."""
    found: list[Instruction] = []
    while len(found) < BEFORE:
        low = max(0, at - MAX_INSN)
        marks = [offset for offset in range(at - 1, low - 1, -1) if starts[offset]]
        lines = (disassemble(data[offset:at], start + offset, bits, 1) for offset in marks)
        fits = next((line for line in lines if len(line[0].code) == at - (line[0].address - start)), None)
        if fits is None:
            break
        found.insert(0, fits[0])
        at = fits[0].address - start
    return found


def _guessed(data: bytes, start: int, at: int, bits: int) -> list[Instruction]:
    """The longest run of whole instructions that ends at offset `at`, of which the last few."""
    for offset in range(max(0, at - REACH), at):
        lines = disassemble(data[offset:at], start + offset, bits, REACH)
        if lines and all(line.text != "(bad)" for line in lines) and _is_whole(lines, start + at):
            return lines[-BEFORE:]
    return []


def _is_whole(lines: Sequence[Instruction], end: int) -> bool:
    return lines[-1].address + len(lines[-1].code) == end
