"""Proves that a PVH kernel gets the start_info its ABI promises, and is entered where its note says."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.unit.loader.builders import (
    CODE,
    ELF_CODE_AT,
    MIB,
    at,
    elf64,
    patch,
    plan,
    request,
    text_at,
    with_symbols,
    xen_note,
)
from vmm.errors import ImageError
from vmm.loader import BootPlan, Module, detect, load, memory_map

KERNEL = elf64(CODE * 4, note=xen_note(MIB + 4), memsz=0x2000)


def start_info(planned: BootPlan) -> tuple[int, ...]:
    """magic, version, flags, modules, module list, command line, rsdp, memory map, entries, 0."""
    return struct.unpack("<IIIIQQQQII", at(planned, planned.cpu.registers["rbx"], 56))


@pytest.mark.parametrize("layout", ["<I", "<Q"])
def test_entry_is_the_note_of_either_width(layout: str) -> None:
    planned = plan(elf64(CODE * 4, note=xen_note(MIB + 4, layout=layout)))
    cpu = planned.cpu
    assert (planned.protocol, cpu.mode, cpu.entry, cpu.tr_32bit) == ("pvh", "protected", MIB + 4, True)


def test_start_info_version_1_with_command_line_and_rsdp() -> None:
    planned = plan(KERNEL, append="console=ttyS0", rsdp=0xE0000)
    info = start_info(planned)
    assert info[:4] == (0x336EC578, 1, 0, 0)
    assert text_at(planned, info[5]) == "console=ttyS0"
    assert info[6] == 0xE0000


def test_memory_map_is_the_machines() -> None:
    planned = plan(KERNEL)
    address, count = start_info(planned)[7:9]
    entries = [struct.unpack("<QQII", at(planned, address + 24 * i, 24)) for i in range(count)]
    assert entries == [(r.base, r.size, r.kind, 0) for r in memory_map(64 * MIB)]


def test_initrd_is_the_first_module_and_nothing_lies_in_the_bss(tmp_path: Path) -> None:
    initrd, extra = tmp_path / "initrd", tmp_path / "extra"
    initrd.write_bytes(b"i" * 5000)
    extra.write_bytes(b"e" * 10)
    planned = plan(KERNEL, initrd=initrd, modules=(Module(extra, "a=1"),))
    info = start_info(planned)
    first = struct.unpack("<QQQQ", at(planned, info[4], 32))
    second = struct.unpack("<QQQQ", at(planned, info[4] + 32, 32))
    assert info[3] == 2
    assert at(planned, first[0], first[1]) == b"i" * 5000
    assert at(planned, second[0], second[1]) == b"e" * 10
    assert text_at(planned, second[2]) == "a=1"
    assert min(first[0], second[0]) >= MIB + 0x2000


def test_plain_entry_is_used_without_the_note_or_when_asked_for() -> None:
    assert plan(elf64(note=xen_note(kind=6))).protocol == "elf64"
    assert plan(KERNEL, protocol="elf64").protocol == "elf64"
    with pytest.raises(ImageError, match="cannot be booted as pvh; it looks like elf"):
        plan(elf64(), protocol="pvh")


def test_note_behind_others_is_found() -> None:
    notes = struct.pack("<III", 4, 5, 1) + b"GNU\0hello\0\0\0" + xen_note(MIB, kind=6) + xen_note(MIB)
    assert plan(elf64(note=notes)).protocol == "pvh"


def test_broken_notes() -> None:
    with pytest.raises(ImageError, match="value has 2 bytes"):
        plan(elf64(note=xen_note(1, layout="<H")))
    with pytest.raises(ImageError, match="PVH entry 0x7 lies in no loaded segment"):
        plan(elf64(note=xen_note(7)))
    endless = patch(KERNEL, ELF_CODE_AT - 24 + 4, "<I", 0xFFFFFFFF)
    assert plan(endless).protocol == "elf64"


def test_symbols_come_along_and_detection_agrees(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(with_symbols(KERNEL, {"start": MIB, "main": MIB + 4}))
    planned = load(path, request())
    assert detect(path) == "pvh"
    assert planned.symbols is not None
    assert planned.symbols.lookup(MIB + 6) == ("main", 2)
