"""The decoder of direct execution against Capstone: what it accepts is an instruction of that length, of the
kinds that are meant to run directly."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import capstone
import pytest

from tests.chips.test_chips_c import BUILD, C_TESTS
from tests.direct import blocks

LINES = 20_000
REFUSED = (capstone.x86.X86_GRP_PRIVILEGE, capstone.x86.X86_GRP_CALL, capstone.x86.X86_GRP_RET)
KINDS = {
    *(
        "mov",
        "movabs",
        "movzx",
        "movsx",
        "movsxd",
        "lea",
        "xchg",
        "bswap",
        "nop",
        "jmp",
        "cbw",
        "cwde",
        "cdqe",
    ),
    *(
        "add",
        "adc",
        "sub",
        "sbb",
        "and",
        "or",
        "xor",
        "cmp",
        "test",
        "not",
        "neg",
        "inc",
        "dec",
        "mul",
        "imul",
    ),
    *("shl", "shr", "sar", "rol", "ror"),
}


@pytest.fixture(scope="module")
def program() -> Path:
    """Decodes lines of hex."""
    target = BUILD / "test_direct"
    done = subprocess.run(
        ["make", "-s", "-C", str(C_TESTS), f"OUT={BUILD}", str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return target


def _lengths(program: Path, codes: list[bytes]) -> list[int]:
    text = "".join(code[:15].hex() + "\n" for code in codes)
    done = subprocess.run([program, "lengths"], input=text, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def _is_meant(insn: capstone.CsInsn) -> bool:
    name = insn.mnemonic
    vector = any(
        op.type == capstone.x86.X86_OP_REG and "xmm" in insn.reg_name(op.reg) for op in insn.operands
    )
    return vector or name in KINDS or name.startswith(("j", "set", "cmov"))


def test_random_bytes(program: Path) -> None:
    rng = random.Random(7)
    starts = (b"", b"\x48", b"\x66", b"\x0f", b"\x66\x0f", b"\x48\x0f", b"\xf3\x0f", b"\x41", b"\x45")
    codes = [rng.choice(starts) + rng.randbytes(15) for _ in range(LINES)]
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    accepted = 0
    for code, length in zip(codes, _lengths(program, codes), strict=True):
        if not length:
            continue
        accepted += 1
        insn = next(decoder.disasm(code[:15], 0x1000), None)
        assert insn is not None, code.hex()
        assert insn.size == length, f"{code[:15].hex()}: {insn.mnemonic} {insn.op_str}"
        assert _is_meant(insn), f"{code[:15].hex()}: {insn.mnemonic} {insn.op_str}"
        assert not any(insn.group(group) for group in REFUSED)
        assert 0xF0 not in insn.prefix
    assert accepted > LINES // 10


def test_everything_the_fuzzer_writes_is_accepted(program: Path) -> None:
    rng = random.Random(11)
    codes = []
    for _ in range(LINES // 4):
        writer = blocks.Writer(rng)
        writer.any_insn()
        codes.append(bytes(writer.code))
    refused = [
        code.hex()
        for code, length in zip(codes, _lengths(program, codes), strict=True)
        if length != len(code)
    ]
    assert refused == []
