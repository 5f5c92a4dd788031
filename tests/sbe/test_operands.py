"""Proves the operand decode the monitor relies on: memory against Capstone's detail, the rest by hand."""

from __future__ import annotations

from typing import Any

import capstone
import pytest
from capstone import x86

from tests.sbe.encodings import encodings
from tests.sbe.library import Scanner, parse_hex
from vmm.sbe.insn_table import InsnTable

NONE, RIP = 0xFF, 16
SEGMENTS = {"es": 0, "cs": 1, "ss": 2, "ds": 3, "fs": 4, "gs": 5}
_NAMES = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
REGISTERS = {prefix + name: number for number, name in enumerate(_NAMES) for prefix in ("", "e", "r")} | {
    f"r{n}{suffix}": n for n in range(8, 16) for suffix in ("", "d", "w")
}
DECODERS = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}
PREFIXES = [b"", b"\x67", b"\x64", b"\x2e", b"\x66"]


def _op(one: Scanner, mode: str, code: bytes) -> Any:
    scan = one.scan(mode, 0x1000, code)
    assert scan.patches and scan.patches[0].pc == 0x1000, code.hex()
    return one.site(scan.patches[0].site).op


def _number(decoder: capstone.Cs, register: int) -> int:
    name = decoder.reg_name(register) if register else None
    return (
        NONE if name is None or name in {"eiz", "riz"} else RIP if name in {"rip", "eip"} else REGISTERS[name]
    )


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_memory_operands_agree_with_capstone(full: Scanner, table: InsnTable, bits: int) -> None:
    decoder = capstone.Cs(capstone.CS_ARCH_X86, DECODERS[bits])
    decoder.detail = True
    rex = [b"", b"\x43"] if bits == 64 else [b""]
    checked = 0
    for encoding in encodings(table, bits):
        row = table.rows[encoding.insn]
        if row.full != "trap" or str(bits) not in row.trap_modes or encoding.code[0] != 0x0F:
            continue
        for prefix in PREFIXES:
            for extension in rex:
                code = prefix + extension + encoding.code
                decoded = next(decoder.disasm(code, 0, 1), None)
                operands = decoded.operands if decoded is not None else []
                memory = next((o.mem for o in operands if o.type == x86.X86_OP_MEM), None)
                if decoded is None or memory is None:
                    continue
                op = _op(full, str(bits), code)
                want = (_number(decoder, memory.base), _number(decoder, memory.index))
                assert (op.base, op.index) == want, (code.hex(" "), decoded.op_str)
                assert op.scale == memory.scale
                assert op.disp & 0xFFFF == memory.disp & 0xFFFF
                assert op.flags & full.lib.SBE_OP_MEM
                checked += 1
    assert checked > 300


@pytest.mark.parametrize(
    ("mode", "code", "field", "value"),
    [
        ("64", "0f22d9", "reg", 3),
        ("64", "410f22d9", "rm", 9),
        ("64", "440f20c1", "reg", 8),
        ("64", "f00f20c1", "reg", 8),
        ("64", "0f20c0", "size", 8),
        ("32", "660f20c0", "size", 4),
        ("64", "0f2304", "rm", 4),
        ("64", "e471", "imm", 0x71),
        ("64", "e771", "size", 4),
        ("64", "66e771", "size", 2),
        ("64", "48ed", "size", 4),
        ("16", "ed", "size", 2),
        ("16", "66ed", "size", 4),
        ("64", "ec", "size", 1),
        ("64", "646e", "segment", 4),
        ("64", "266e", "segment", 3),
        ("32", "266e", "segment", 0),
        ("64", "676d", "address_size", 4),
        ("64", "9c", "size", 8),
        ("64", "669d", "size", 2),
        ("32", "9d", "size", 4),
        ("64", "cf", "size", 4),
        ("64", "48cf", "size", 8),
        ("64", "480f07", "size", 8),
        ("64", "0f0110", "access", 10),
        ("32", "0f0110", "access", 6),
        ("32", "660f0110", "size", 2),
        ("64", "0f0138", "access", 0),
        ("64", "480f01e2", "size", 8),
        ("64", "0f0120", "access", 2),
        ("64", "66440f388200", "access", 16),
        ("64", "66440f388200", "reg", 8),
        ("64", "0f014500", "segment", 2),
        ("64", "410f014500", "segment", 3),
        ("16", "0f014600", "segment", 2),
        ("64", "480fc7f1", "size", 8),
        ("64", "4866ed", "size", 2),
    ],
)
def test_field_is_decoded(full: Scanner, mode: str, code: str, field: str, value: int) -> None:
    assert getattr(_op(full, mode, parse_hex(code)), field) == value


@pytest.mark.parametrize(
    ("code", "undefined"),
    [
        ("f00f32", True),
        ("f00f22c0", False),
        ("f00f22d8", True),
        ("660f01d0", True),
        ("f30f01d1", True),
        ("660f32", False),
    ],
)
def test_prefix_that_makes_it_undefined_is_told(full: Scanner, code: str, undefined: bool) -> None:
    assert bool(_op(full, "64", parse_hex(code)).flags & full.lib.SBE_OP_UD) == undefined


def test_rep_prefixes_are_told(full: Scanner) -> None:
    assert _op(full, "64", parse_hex("f36c")).flags & full.lib.SBE_OP_REP
    assert _op(full, "64", parse_hex("f26c")).flags & full.lib.SBE_OP_REPNE
