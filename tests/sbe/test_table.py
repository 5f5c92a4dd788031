"""Proves the instruction table: complete rows, sound policies, and that Capstone knows no privileged
instruction which the table lacks."""

from __future__ import annotations

import random

import capstone
import pytest
from capstone import x86

from tests.sbe.encodings import encodings
from vmm.sbe.insn_table import InsnTable

DECODERS = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}
# What must trap for a guest to be right, whatever the profile: engine facts, one by one.
ALWAYS_TRAP = frozenset(
    """
    CPUID RDTSC RDTSCP RDPMC RDRAND RDSEED RDMSR WRMSR MOV_FROM_CR8 MOV_TO_CR8 MOV_TO_CR0 MOV_TO_CR4
    XSETBV MONITOR MWAIT VMCALL VMMCALL LOCK_BIT_TEST LGDT LIDT UMWAIT
    """.split()  # noqa: SIM905 - a list of words reads better than a column of quotes
)


def test_every_row_is_complete(table: InsnTable) -> None:
    assert len(table.rows) > 90
    for row in table.rows:
        assert row.mnemonic and len(row.why) > 20 and not row.why.endswith("."), row
        assert row.class_name in table.classes
        assert row.kind in {"privileged", "sensitive", "iopl"}
        assert row.allowed and row.trap_modes
        assert any(form.insn == row.number for form in table.forms)


def test_policies_are_among_those_allowed(table: InsnTable) -> None:
    for row in table.rows:
        assert {row.full, row.adaptive} <= set(row.allowed)
        assert ("inline" in row.allowed) == (row.inline_asm is not None)
        assert (row.full == "trap") == ("trap" in row.allowed)
        assert row.adaptive != "trap" or row.full == "trap"


def test_adaptive_traps_what_must_and_nothing_else(table: InsnTable) -> None:
    assert {row.id for row in table.rows if row.adaptive == "trap"} == ALWAYS_TRAP


def test_every_class_has_a_row(table: InsnTable) -> None:
    assert {row.class_name for row in table.rows} == set(table.classes)


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_every_encoding_is_identified_as_its_row(table: InsnTable, bits: int) -> None:
    checked = 0
    for encoding in encodings(table, bits):
        known = table.identify(bits, encoding.code)
        assert known is not None and known[0].number == encoding.insn, encoding
        checked += 1
    assert checked > 500


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_capstone_agrees_on_identity_and_length(table: InsnTable, bits: int) -> None:
    """Where Capstone decodes an encoding at all; it refuses LOCK, and the newest instructions."""
    decoder = capstone.Cs(capstone.CS_ARCH_X86, DECODERS[bits])
    agreed = set()
    for encoding in encodings(table, bits):
        row = table.rows[encoding.insn]
        decoded = next(decoder.disasm(encoding.code, 0, 1), None)
        known = table.identify(bits, encoding.code)
        if decoded is None or known is None or not row.capstone_ids:
            continue
        assert decoded.id in row.capstone_ids, (encoding, decoded.mnemonic)
        assert decoded.size == known[1], (encoding, decoded.mnemonic, decoded.op_str)
        agreed.add(row.id)
    assert len(agreed) > 70


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_nothing_capstone_calls_privileged_is_missing(table: InsnTable, bits: int) -> None:
    decoder = capstone.Cs(capstone.CS_ARCH_X86, DECODERS[bits])
    decoder.detail = True
    source = random.Random(2)
    seen = 0
    for _ in range(20_000):
        code = source.choice((b"\x0f", b"\x0f\x01", b"\xf3\x0f", b"\x66\x0f", b"")) + source.randbytes(15)
        decoded = next(decoder.disasm(code, 0, 1), None)
        if decoded is None or x86.X86_GRP_PRIVILEGE not in decoded.groups:
            continue
        seen += 1
        known = table.identify(bits, code)
        if known is None and _is_undefined_by_prefix(table, bits, code):
            continue
        assert known is not None and known[1] == decoded.size, (code.hex(" "), decoded.mnemonic)
    assert seen > 100


def test_identify_rejects_an_unknown_width(table: InsnTable) -> None:
    with pytest.raises(KeyError):
        table.identify(8, b"\xf4")


def _is_undefined_by_prefix(table: InsnTable, bits: int, code: bytes) -> bool:
    """Capstone reads over a 66, F2 or F3 that the processor takes for another, undefined opcode."""
    while code[0] in {0x66, 0xF2, 0xF3}:
        code = code[1:]
    known = table.identify(bits, code)
    return known is not None and known[0].allowed == ("native",)
