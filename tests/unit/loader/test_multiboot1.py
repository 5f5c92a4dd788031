"""Proves that Multiboot 1 kernels load by ELF headers or address fields and get a true information block."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.unit.loader.builders import (
    CODE,
    MIB,
    at,
    elf32,
    elf64,
    multiboot1_header,
    patch,
    plan,
    text_at,
    with_symbols,
    xen_note,
)
from vmm.errors import ImageError
from vmm.loader import BootPlan, Module, memory_map

ADDRESSES = 1 << 16
KERNEL = elf32(multiboot1_header() + CODE, entry=MIB + 12, memsz=0x5000)


def info(planned: BootPlan) -> bytes:
    return at(planned, planned.cpu.registers["rbx"], 116)


def word(data: bytes, offset: int) -> int:
    value: int = struct.unpack_from("<I", data, offset)[0]
    return value


def kludge(load_end: int = 0, bss_end: int = 0, entry: int = 0x200020 + 32) -> bytes:
    """A file that is no ELF: 32 bytes of something, the header, code."""
    header = multiboot1_header(ADDRESSES, 0x200020, 0x200000, load_end, bss_end, entry)
    return bytes(32) + header + CODE


def test_elf32_is_entered_in_protected_mode_with_the_magic() -> None:
    cpu = plan(KERNEL).cpu
    assert (cpu.mode, cpu.entry, cpu.registers["rax"]) == ("protected", MIB + 12, 0x2BADB002)


def test_elf64_is_accepted_and_preferred_over_its_pvh_note() -> None:
    planned = plan(elf64(multiboot1_header() + CODE, entry=MIB + 12, note=xen_note()))
    assert (planned.protocol, planned.cpu.mode) == ("multiboot1", "protected")


def test_memory_fields_and_map() -> None:
    planned = plan(KERNEL, memory=64 * MIB)
    block = info(planned)
    assert (word(block, 4), word(block, 8)) == (639, 63 << 10)
    table = at(planned, word(block, 48), word(block, 44))
    entries = list(struct.iter_unpack("<IQQI", table))
    assert entries == [(20, r.base, r.size, r.kind) for r in memory_map(64 * MIB)]


def test_flags_announce_what_is_there() -> None:
    block = info(plan(KERNEL))
    assert word(block, 0) == 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9 | 1 << 12
    assert struct.unpack_from("<QIIIBB", block, 88) == (0xB8000, 160, 80, 25, 16, 2)


def test_command_line_starts_with_the_image_name() -> None:
    planned = plan(KERNEL, append="com1=115200")
    block = info(planned)
    assert text_at(planned, word(block, 16)) == "image com1=115200"
    assert text_at(planned, word(block, 64)) == "vmm"


def test_modules_are_page_aligned_above_the_image_in_order(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("initrd", "dom0", "ram disk")]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number + 1]) * 4097)
    modules = (Module(files[1], "console=hvc0"), Module(files[2], ""))
    planned = plan(KERNEL, initrd=files[0], modules=modules)
    block = info(planned)
    table = at(planned, word(block, 24), 16 * word(block, 20))
    rows = list(struct.iter_unpack("<IIII", table))
    assert [row[:2] for row in rows] == [
        (MIB + start, MIB + start + 4097) for start in (0x5000, 0x7000, 0x9000)
    ]
    assert [at(planned, row[0], 1) for row in rows] == [b"\1", b"\2", b"\3"]
    assert [text_at(planned, row[2]) for row in rows] == ["initrd", "dom0 console=hvc0", "ram_disk"]


def test_section_table_points_to_symbols_in_ram() -> None:
    image = with_symbols(elf64(multiboot1_header() + CODE, entry=MIB + 12), {"start": MIB + 12})
    planned = plan(image)
    block = info(planned)
    assert word(block, 0) & 1 << 5
    count, size, address, names = struct.unpack_from("<IIII", block, 28)
    assert (count, size, names) == (3, 64, 2)
    strings = struct.unpack_from("<IIQQQQ", at(planned, address + 2 * 64, 64))
    assert at(planned, strings[3], strings[5]) == b"\0start\0"


def test_address_fields_load_any_file() -> None:
    planned = plan(kludge(bss_end=0x201000))
    image = planned.blobs[0]
    assert (image.address, image.size, image.data) == (0x200000, 0x1000, kludge(bss_end=0x201000))
    assert planned.cpu.entry == 0x200040


def test_address_fields_may_leave_out_the_start_and_the_end_of_the_file() -> None:
    header = multiboot1_header(ADDRESSES, 0x200000, 0x200000, 0x200024, 0x200024, 0x200020)
    planned = plan(bytes(64) + header + CODE + b"tail")
    assert planned.blobs[0].data == header + CODE


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((0x200000, 0x200020, 0, 0, 0x200020), "load_addr 0x200020 does not fit"),
        ((0x200020, 0x100000, 0, 0, 0x200020), "does not fit header_addr"),
        ((0x200020, 0x200000, 0x1FFFFF, 0, 0x200020), "out of order"),
        ((0x200020, 0x200000, 0x200030, 0x200020, 0x200020), "out of order"),
        ((0x200020, 0x200000, 0x300000, 0, 0x200020), "the Multiboot image needs"),
        ((0x200020, 0x200000, 0, 0xFFFFFFFF, 0x200020), "where no image can be loaded|not RAM"),
        ((0x200020, 0x200000, 0, 0, 0x300000), "entry 0x300000 is outside"),
        ((0xA0020, 0xA0000, 0, 0, 0xA0020), "where no image can be loaded"),
    ],
)
def test_contradicting_address_fields_are_refused(fields: tuple[int, ...], reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        plan(bytes(32) + multiboot1_header(ADDRESSES, *fields) + CODE)


def test_header_must_be_aligned_early_and_sum_to_zero() -> None:
    for image in (
        elf32(b"\0" + multiboot1_header() + CODE),
        elf32(bytes(8192) + multiboot1_header() + CODE),
        elf32(patch(multiboot1_header(), 8, "<I", 1) + CODE),
    ):
        assert plan(image).protocol == "elf32"


def test_later_valid_header_is_found_behind_a_decoy() -> None:
    decoy = patch(multiboot1_header(), 8, "<I", 1)
    assert plan(elf32(decoy + multiboot1_header() + CODE)).protocol == "multiboot1"


def test_unknown_required_features_are_refused_and_optional_ones_ignored() -> None:
    with pytest.raises(ImageError, match="unknown features 0x8"):
        plan(elf32(multiboot1_header(1 << 3) + CODE))
    assert plan(elf32(multiboot1_header(1 << 17) + CODE)).protocol == "multiboot1"


def test_module_that_does_not_fit_is_named(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(4 * MIB))
    with pytest.raises(ImageError, match="big"):
        plan(KERNEL, memory=4 * MIB, modules=(Module(big, ""),))
