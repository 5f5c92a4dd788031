"""Proves the static walk: what it follows, what it cannot, what it does with hostile images, and recall."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sbe.library import load, parse_hex
from vmm.errors import ImageError
from vmm.sbe.elf_code import code_pointers, elf_code, elf_tables, load_addresses, relative_pointers
from vmm.sbe.flow import Target, address_taken, flow_of
from vmm.sbe.insn_table import InsnTable
from vmm.sbe.static_walk import Entry, Region, StaticSite, Walk, compare, walk


def _walk(table: InsnTable, code: str, *, bits: int = 64) -> Walk:
    return walk([Region(0x1000, parse_hex(code))], [Entry(0x1000, bits)], table)


def _found(result: Walk) -> list[tuple[int, str]]:
    return [(site.address, site.insn.id) for site in result.sites]


def test_both_ways_of_a_branch_are_walked(table: InsnTable) -> None:
    result = _walk(table, "7403 0fa2c3 0f32 c3")
    assert _found(result) == [(0x1002, "CPUID"), (0x1005, "RDMSR")]
    result = _walk(table, "7402 fac3 fbc3")
    assert _found(result) == [(0x1002, "CLI"), (0x1004, "STI")]


def test_calls_are_followed_and_return(table: InsnTable) -> None:
    assert _found(_walk(table, "e801000000 f4 fa c3")) == [(0x1005, "HLT"), (0x1006, "CLI")]


def test_data_behind_a_jump_is_not_code(table: InsnTable) -> None:
    assert _found(_walk(table, "eb02 fbfb fa c3")) == [(0x1004, "CLI")]


def test_loop_ends(table: InsnTable) -> None:
    assert _walk(table, "fa ebfd").instructions == 2


def test_line_longer_than_a_slice_is_walked(table: InsnTable) -> None:
    assert _found(_walk(table, "90" * 100 + "0fa2c3")) == [(0x1064, "CPUID")]


def test_what_cannot_be_followed_is_counted(table: InsnTable) -> None:
    assert _walk(table, "ffe0").indirect == 1
    assert _walk(table, "e900100000").outside == 1
    assert _walk(table, "ea001000000800", bits=32).far == 1
    assert _walk(table, "0f0a").refused == 1


def test_instruction_capstone_refuses_is_found_and_passed(table: InsnTable) -> None:
    assert _found(_walk(table, "f00f32 fa c3")) == [(0x1000, "RDMSR"), (0x1003, "CLI")]


def test_overlapping_regions_are_refused(table: InsnTable) -> None:
    with pytest.raises(ValueError, match="overlap"):
        walk([Region(0, b"\x90" * 8), Region(4, b"\x90")], [], table)


@pytest.mark.parametrize(
    ("mnemonic", "operands", "falls", "target"),
    [
        ("jmp", "0x1000", False, Target.DIRECT),
        ("bnd jmp", "0x1000", False, Target.DIRECT),
        ("jmp", "9", False, Target.DIRECT),
        ("call", "rax", True, Target.INDIRECT),
        ("jne", "0x10", True, Target.DIRECT),
        ("repz ret", "", False, Target.NONE),
        ("iretq", "", False, Target.NONE),
        ("hlt", "", True, Target.NONE),
        ("ljmp", "ptr [rax]", False, Target.FAR),
    ],
)
def test_flow_of_an_instruction(mnemonic: str, operands: str, falls: bool, target: Target) -> None:
    flow = flow_of(mnemonic, operands)
    assert (flow.falls_through, flow.target) == (falls, target)


def test_recall_names_what_was_missed(table: InsnTable) -> None:
    cli = table.by_id["CLI"]
    static = [StaticSite(0x10, 64, b"\xfa", cli), StaticSite(0x30, 64, b"\xfa", cli)]
    regions = [Region(0x10, b"\xfa"), Region(0x20, b"\xfb\x90")]
    recall = compare(static, [(0x10, b"\xfa"), (0x10, b"\xfa"), (0x20, b"\xfb"), (0x21, b"\xf4")], regions)
    assert (recall.executed, recall.found, recall.missed) == (3, 1, ((0x20, b"\xfb"),))
    assert recall.rewritten == ((0x21, b"\xf4"),)
    assert recall.ratio == 1 / 3
    assert compare([], [], []).ratio == 1.0


def test_code_pointers_are_aligned_and_inside(table: InsnTable) -> None:
    code = [Region(0x1000, bytes(0x100))]
    words = b"".join(n.to_bytes(8, "little") for n in (0x1010, 0x1011, 0x1100, 0x10F0, 0x1010))
    assert code_pointers(words + b"\x00", code, 64) == [Entry(0x1010, 64), Entry(0x10F0, 64)]


def test_relative_pointers_come_from_tables_of_nothing_else() -> None:
    code = [Region(0x1000, bytes(0x100))]
    table = b"".join(
        (target - 0x2000 - 4 * at).to_bytes(4, "little", signed=True)
        for at, target in enumerate((0x1000, 0x1003, 0x10FF))
    )
    assert relative_pointers([Region(0x2000, table)], code, 64) == [
        Entry(0x1000, 64),
        Entry(0x1003, 64),
        Entry(0x10FF, 64),
    ]
    assert relative_pointers([Region(0x2000, table + bytes(8))], code, 64) == []


def test_code_whose_address_is_loaded_is_walked(table: InsnTable) -> None:
    code = parse_hex("b8 07000100 ffe0 fa c3")  # mov eax, 0x10007; jmp eax; cli; ret
    assert _found(walk([Region(0x10000, code)], [Entry(0x10000, 32)], table)) == [(0x10007, "CLI")]
    assert address_taken("mov", "eax, dword ptr [rip + 0x20000]") is None
    assert address_taken("add", "eax, 0x20000") is None


def test_real_program_is_walked(table: InsnTable) -> None:
    path = Path("/bin/true").resolve()
    regions, entries = elf_code(path, path.read_bytes())
    result = walk(regions, entries, table)
    assert result.instructions > 5
    assert all(site.code in b"".join(region.data for region in regions) for site in result.sites)


def test_broken_elf_is_one_line() -> None:
    with pytest.raises(ImageError, match="broken ELF"):
        elf_code(Path("x"), b"\x7fELF" + b"\xff" * 100)


_TABLE = InsnTable(*load())
_TRUE = Path("/bin/true").resolve().read_bytes()


@given(st.binary(min_size=1, max_size=300), st.sampled_from([16, 32, 64]))
def test_random_code_is_walked_to_an_end(code: bytes, bits: int) -> None:
    result = walk([Region(0x1000, code)], [Entry(0x1000, bits)], _TABLE)
    assert all(code[s.address - 0x1000 :].startswith(s.code) and s.code for s in result.sites)


@given(st.integers(0, 4095), st.integers(0, 255))
def test_mutated_elf_is_read_or_refused(offset: int, value: int) -> None:
    data = bytearray(_TRUE)
    data[offset] = value
    for read in (elf_code, elf_tables, load_addresses):
        try:
            read(Path("x"), bytes(data))
        except ImageError as error:
            assert "\n" not in str(error)
