"""Loops that now and then write code: their own block, another of theirs, the page they are in, through their
own address and through another. What runs must be what is in memory, all else as with the engine alone."""

from __future__ import annotations

import struct

import pytest

from tests.direct import guest
from vmm.monitor import Direct

ALIAS = guest.DATA + (guest.BEYOND + 1) * guest.PAGE
ROUNDS = 6000
STORE = "mov rdi, rbx; test r15d, ecx; cmovz rdi, rdx; inc dword ptr [rdi]"
PATCHED = b"\xb8\x07\x00\x00\x00"  # mov eax, 7
USE = "add rsi, rax"
BOUNDARY = b"\x41\xf6\xc7\x01\x75\x01\x90"  # test r15b, 1; jnz behind; nop; behind:


def _loop(parts: list[str | bytes]) -> tuple[bytes, int]:
    """The parts and what closes the loop, and where in it the number in PATCHED is, or else data."""
    code, at = b"", 0x800
    for part in parts:
        if part == PATCHED:
            at = len(code) + 1
        code += part if isinstance(part, bytes) else guest.assemble(part)
    code += guest.assemble("dec r15")
    code += b"\x0f\x85" + struct.pack("<i", -(len(code) + 6))
    return code + guest.assemble(f"mov rax, {guest.FINISH}; jmp rax"), at


LOOPS: dict[str, list[str | bytes]] = {
    "its own block, behind the store": [STORE, PATCHED, USE],
    "its own block, before the store": [PATCHED, USE, STORE],
    "the next block": [STORE, BOUNDARY, PATCHED, USE],
    "data in its page": [STORE, USE],
}


@pytest.mark.parametrize("often", [0x1F, 0x3FF])
@pytest.mark.parametrize("page", [guest.LOOPS, ALIAS], ids=["own address", "alias"])
@pytest.mark.parametrize("kind", LOOPS)
def test_written_code_is_what_runs(kind: str, page: int, often: int) -> None:
    code, at = _loop(LOOPS[kind])
    general = {"rbx": guest.DATA, "rdx": page + at, "rcx": often, "r15": ROUNDS}
    batch = guest.Batch(loops=[code], general=general, tick=501)
    plain, _ = guest.run_loops(batch, Direct.OFF)
    direct, stats = guest.run_loops(batch, Direct.EAGER)
    assert stats.direct_loops > 0
    assert plain.exceptions == {}
    assert plain.differences(direct) == []
