"""Machine code as text, through Capstone."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple


class Instruction(NamedTuple):
    """One instruction; `text` is `(bad)` for a byte that begins none."""

    address: int
    code: bytes
    text: str


def disassemble(code: bytes, address: int, bits: int, count: int) -> list[Instruction]:
    """Up to `count` instructions of `bits`-wide code (16, 32 or 64) that lies at linear `address`."""
    found: list[Instruction] = []
    offset = 0
    while len(found) < count and offset < len(code):
        decoded = next(_decoder(bits).disasm_lite(code[offset : offset + 16], address + offset, 1), None)
        size = decoded[1] if decoded else 1
        text = f"{decoded[2]} {decoded[3]}".rstrip() if decoded else "(bad)"
        found.append(Instruction(address + offset, code[offset : offset + size], text))
        offset += size
    return found


@cache
def _decoder(bits: int) -> Any:
    # Here, not above: the binding is slow to load, and most guests live.
    import capstone  # noqa: PLC0415

    modes = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}
    return capstone.Cs(capstone.CS_ARCH_X86, modes[bits])
