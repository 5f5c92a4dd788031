"""Proves what a scan tells the engine, in every mode, under every prefix: replacements, ends, cuts."""

from __future__ import annotations

import pytest

from tests.sbe.encodings import encodings
from tests.sbe.library import POLICIES, Scanner, insn_numbers, parse_hex, scanner
from vmm.sbe.insn_table import InsnTable


@pytest.mark.parametrize(
    ("mode", "code", "replacement"),
    [
        ("64", "0fa2", "3eee"),
        ("64", "0f32", "3eee"),
        ("64", "0f30", "0f05"),
        ("64", "0f22c0", "3e0f05"),
        ("64", "440f22c0", "3e3e0f05"),
        ("64", "0f20d8", "3e3eee"),
        ("64", "fa", "ee"),
        ("64", "fb", "f4"),
        ("64", "f4", "f4"),
        ("64", "48cf", "0f05"),
        ("64", "0f05", "0f05"),
        ("64", "ee", "ee"),
        ("64", "e460", "3eee"),
        ("64", "f36e", "3eee"),
        ("64", "f390", "0f05"),
        ("64", "0f011511223344", "3e3e3e3e3e3eee"),
        ("64", "650f019c9811223344", "3e3e3e3e3e3e3e3eee"),
        ("64", "66660f3882442410", "3e3e3e3e3e3e0f05"),
        ("64", "0f01f8", "3e3eee"),
        ("64", "f3480faed8", "3e3e3e3eee"),
        ("32", "0f0116ff", "3e3eee"),
        ("16", "0f01160040", "3e3e3e3eee"),
        ("16", "0f22c0", "3e0f05"),
        ("vm86", "0fa2", "3eee"),
        ("vm86", "e460", "3eee"),
    ],
)
def test_replacement_has_the_shape_of_its_row(full: Scanner, mode: str, code: str, replacement: str) -> None:
    scan = full.scan(mode, 0x1000, parse_hex(code) + b"\x90" * 4)
    assert [patch.bytes.hex() for patch in scan.patches[:1]] == [replacement]
    assert full.site(scan.patches[0].site).policy == POLICIES["trap"]


def test_one_byte_trap_that_ends_a_block_does_not_fault_above_cpl0(full: Scanner) -> None:
    scan = full.scan("64", 0x1000, parse_hex("9d") + b"\x90" * 4, cpl=3)
    assert scan.patches[0].bytes.hex() == "cf"


@pytest.mark.parametrize("code", ["fa", "fb", "9c", "9d", "cf"])
def test_iopl_sensitive_instructions_stay_native_in_vm86(full: Scanner, code: str) -> None:
    assert full.scan("vm86", 0, parse_hex(code) + b"\x90" * 8, cpl=3).patches == ()
    assert full.scan("16", 0, parse_hex(code) + b"\x90" * 8, cpl=3).patches != ()


@pytest.mark.parametrize("code", ["0f01f8", "f30faec0"])
def test_long_mode_instructions_stay_native_elsewhere(full: Scanner, code: str) -> None:
    assert full.scan("32", 0, parse_hex(code) + b"\x90" * 8).patches == ()


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_every_encoding_is_rewritten_at_its_length(full: Scanner, table: InsnTable, bits: int) -> None:
    for pc, encoding in enumerate(encodings(table, bits)):
        row = table.rows[encoding.insn]
        known = table.identify(bits, encoding.code)
        assert known is not None
        scan = full.scan(str(bits), pc, encoding.code)
        here = [patch for patch in scan.patches if patch.pc == pc]
        if row.full == "native" or str(bits) not in row.trap_modes:
            assert here == []
            continue
        assert [len(patch.bytes) for patch in here] == [known[1]], encoding
        site = full.site(here[0].site)
        assert site.insn == row.number and bytes(site.bytes)[: site.len] == encoding.code[: known[1]]


# None of these prefixes may hide RDMSR, in any number that the processor takes.
@pytest.mark.parametrize(
    "prefix", ["26", "2e", "36", "3e", "64", "65", "66", "67", "f0", "f2", "f3", "48", "4f"]
)
@pytest.mark.parametrize("count", [1, 2, 7, 13])
def test_no_prefix_hides_an_instruction(adaptive: Scanner, prefix: str, count: int) -> None:
    code = bytes.fromhex(prefix) * count + b"\x0f\x32"
    scan = adaptive.scan("64", 0x1000, code + b"\xc3")
    assert [patch.bytes for patch in scan.patches] == [b"\x3e" * (count + 1) + b"\xee"]


def test_sixteen_bytes_are_no_instruction(adaptive: Scanner) -> None:
    scan = adaptive.scan("64", 0x1000, b"\x66" * 14 + b"\x0f\x32" + b"\x90" * 20)
    assert scan.undecodable and scan.patches == ()


@pytest.mark.parametrize(
    "code", ["c3", "eb00", "7405", "0f8411223344", "e811223344", "ffe0", "0f0b", "cd80", "cc"]
)
def test_scan_ends_behind_a_control_transfer(code: str) -> None:
    with scanner("full", prefilter=False) as one:
        scan = one.scan("64", 0x1000, b"\x90" + parse_hex(code) + b"\xfa" * 32)
    assert scan.end == 0x1001 + len(parse_hex(code))
    assert scan.patches == ()


@pytest.mark.parametrize("code", ["fb", "0f30", "0f22d8", "f4"])
def test_scan_ends_behind_a_site_that_ends_the_block(full: Scanner, code: str) -> None:
    scan = full.scan("64", 0x1000, parse_hex(code) + b"\x0f\xa2" * 8)
    assert scan.end == scan.resume == 0x1000 + len(parse_hex(code))
    assert len(scan.patches) == 1


@pytest.mark.parametrize("cut", range(1, 7))
def test_instruction_across_a_page_border_waits_for_the_next_page(full: Scanner, cut: int) -> None:
    lgdt = parse_hex("0f011511223344")
    scan = full.scan("64", 0x1FF0, b"\x90" * 3 + lgdt[:cut])
    assert scan.truncated and scan.end == scan.resume == 0x1FF3
    scan = full.more(lgdt + b"\x90" * 40)
    assert [(patch.pc, len(patch.bytes)) for patch in scan.patches] == [(0x1FF3, 7)]
    assert not scan.truncated


def test_bytes_that_end_with_an_instruction_are_settled(full: Scanner) -> None:
    scan = full.scan("64", 0x1FFD, b"\x90" * 3)
    assert (scan.end, scan.resume, scan.truncated) == (0x2000, 0x2000, False)


@pytest.mark.parametrize("profile", ["full", "adaptive"])
def test_same_bytes_at_another_alignment_are_another_instruction(profile: str) -> None:
    """MOV EAX, imm32 whose immediate is RDMSR; RET: entered at its start and in its middle."""
    code = parse_hex("b80f32c390c3")
    with scanner(profile) as one:
        assert one.block("64", code, len(code)).patches == ()
        assert [patch.pc for patch in one.block("64", code[1:], 3, pc=0x1001).patches] == [0x1001]


def test_off_rewrites_only_lgdt_lidt_and_what_lock_makes_undefined(table: InsnTable) -> None:
    with scanner("off") as one:
        for encoding in encodings(table, 64):
            plain = encoding.code.replace(b"\xf0", b"", 1) if encoding.code[0] == 0xF0 else encoding.code
            if plain == encoding.code:
                checked = table.rows[encoding.insn].id in {"LGDT", "LIDT"}
                assert len(one.block("64", plain, len(plain)).patches) == checked
            if len(plain) < 15:
                assert len(one.block("64", b"\xf0" + plain, len(plain) + 1).patches) == 1


@pytest.mark.parametrize("code", ["f089c8", "0f1ef1", "f00f2cd8", "440faeec", "0f0d3f"])
def test_code_capstone_refuses_does_not_hide_what_follows(adaptive: Scanner, code: str) -> None:
    """Each is run by the engine, and refused by Capstone 5."""
    first = parse_hex(code)
    scan = adaptive.block("64", first + b"\x0f\x32\xc3", len(first) + 2)
    assert [patch.pc - 0x1000 for patch in scan.patches] == [len(first)]


def test_more_sites_than_a_block_can_have_end_the_scan(full: Scanner) -> None:
    scan = full.scan("64", 0, b"\xfa" * 600)
    assert len(scan.patches) == scan.end == 512


def test_site_is_recorded_with_class_bytes_and_level(adaptive: Scanner, table: InsnTable) -> None:
    scan = adaptive.scan("64", 0x401000, parse_hex("0fa2c3"), cpl=3)
    site = adaptive.site(scan.patches[0].site)
    assert (site.pc, site.cpl, site.len, site.hits) == (0x401000, 3, 2, 0)
    assert list(table.classes)[site.cls] == "CPUID"
    assert site.insn == insn_numbers()["CPUID"]


def test_statistics_count_what_was_done(adaptive: Scanner) -> None:
    adaptive.block("64", b"\x90" * 200, 60)
    adaptive.scan("64", 0x5000, parse_hex("0fa2c3"))
    stats = adaptive.stats()
    assert (stats.blocks, stats.clean, stats.instructions, stats.candidates, stats.sites) == (2, 1, 2, 1, 1)
    assert 0 < stats.seconds < 1


@pytest.mark.parametrize("mode", ["16", "32", "64"])
@pytest.mark.parametrize(
    "code", ["f00fa3c8", "f00fabd8", "f0660fb3c1", "f00fbbf0", "f00fbae004", "66f00fbaf904"]
)
def test_locked_bit_test_never_reaches_the_engine(adaptive: Scanner, mode: str, code: str) -> None:
    """It is undefined, and the engine's translator aborts the process on it."""
    scan = adaptive.block(mode, b"\x90" * 40 + parse_hex(code) + b"\xc3" * 20, 41)
    assert [patch.pc - 0x1000 for patch in scan.patches] == [40]
    assert adaptive.site(scan.patches[0].site).op.flags & adaptive.lib.SBE_OP_UD


@pytest.mark.parametrize("code", ["0fa3c8", "0fbae004", "f00fab08", "f00fba2804", "f00fb308"])
def test_lawful_bit_tests_stay_native(adaptive: Scanner, code: str) -> None:
    assert adaptive.block("64", parse_hex(code) + b"\xc3", 2).patches == ()
    with scanner("full") as one:
        assert one.block("64", parse_hex(code) + b"\xc3", 2).patches == ()
