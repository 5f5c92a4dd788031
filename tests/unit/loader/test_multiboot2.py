"""Proves that Multiboot 2 headers are obeyed or refused tag by tag, and that the information is true."""

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
    multiboot2_header,
    multiboot2_tag,
    patch,
    plan,
    with_symbols,
)
from vmm.errors import ImageError
from vmm.loader import BootPlan, Module, memory_map

RSDP = b"RSD PTR " + bytes(range(28))
HEADER = multiboot2_header()
ENTRY = MIB + len(HEADER)


def kernel(*tags: bytes) -> bytes:
    header = multiboot2_header(*tags)
    return elf32(header + CODE, entry=MIB + len(header))


def information(planned: BootPlan) -> list[tuple[int, bytes]]:
    """(type, data) of each tag, walked as the specification says."""
    address = planned.cpu.registers["rbx"]
    assert address % 8 == 0
    total, reserved = struct.unpack("<II", at(planned, address, 8))
    assert reserved == 0
    data = at(planned, address, total)
    tags, offset = [], 8
    while offset < total:
        kind, size = struct.unpack_from("<II", data, offset)
        tags.append((kind, data[offset + 8 : offset + size]))
        offset += (size + 7) & ~7
    assert offset == total
    return tags


def test_entered_in_protected_mode_with_the_magic() -> None:
    cpu = plan(kernel()).cpu
    assert (cpu.mode, cpu.entry, cpu.registers["rax"]) == ("protected", ENTRY, 0x36D76289)


def test_information_tags(tmp_path: Path) -> None:
    module = tmp_path / "module"
    module.write_bytes(b"m" * 100)
    planned = plan(kernel(), append="a=1", rsdp=0xE0000, rsdp_bytes=RSDP, modules=(Module(module, "b"),))
    tags = dict(information(planned))
    assert list(tags)[-1] == 0
    assert tags[1] == b"image a=1\0"
    assert tags[2] == b"vmm\0"
    start, end = struct.unpack_from("<II", tags[3])
    assert (at(planned, start, end - start), tags[3][8:], start % 4096) == (b"m" * 100, b"module b\0", 0)
    assert struct.unpack("<II", tags[4]) == (639, 63 << 10)
    assert struct.unpack_from("<II", tags[6]) == (24, 0)
    assert list(struct.iter_unpack("<QQII", tags[6][8:])) == [
        (r.base, r.size, r.kind, 0) for r in memory_map(64 * MIB)
    ]
    assert struct.unpack("<QIIIBBH", tags[8]) == (0xB8000, 160, 80, 25, 16, 2, 0)
    assert (tags[14], tags[15]) == (RSDP[:20], RSDP)


def test_old_rsdp_gives_only_the_old_tag() -> None:
    tags = dict(information(plan(kernel(), rsdp_bytes=RSDP[:20])))
    assert tags[14] == RSDP[:20]
    assert 15 not in tags


def test_section_table_follows_symbols_into_ram() -> None:
    image = with_symbols(elf64(HEADER + CODE, entry=ENTRY), {"start": ENTRY})
    planned = plan(image)
    tag = dict(information(planned))[9]
    assert struct.unpack_from("<III", tag) == (3, 64, 2)
    strings = struct.unpack_from("<IIQQQQ", tag, 12 + 2 * 64)
    assert at(planned, strings[3], strings[5]) == b"\0start\0"


def test_address_and_entry_tags_load_any_file() -> None:
    tags = (
        multiboot2_tag(2, struct.pack("<4I", 0x200000, 0xFFFFFFFF, 0, 0x210000)),
        multiboot2_tag(3, struct.pack("<I", 0x200000 + 64)),
    )
    planned = plan(multiboot2_header(*tags) + CODE)
    assert (planned.blobs[0].address, planned.blobs[0].size) == (0x200000, 0x10000)
    assert planned.cpu.entry == 0x200040


def test_entry_tag_overrides_the_elf_entry() -> None:
    image = kernel(multiboot2_tag(3, struct.pack("<I", MIB + 4)))
    assert plan(image).cpu.entry == MIB + 4
    with pytest.raises(ImageError, match="entry 0x4 is outside"):
        plan(kernel(multiboot2_tag(3, struct.pack("<I", 4))))


def test_relocatable_kernel_is_told_its_base() -> None:
    image = kernel(multiboot2_tag(10, struct.pack("<4I", 0, 0xFFFFFFFF, 4096, 1)))
    assert dict(information(plan(image)))[21] == struct.pack("<I", MIB)


def test_multiboot1_header_in_the_same_file_wins_unless_asked() -> None:
    mb1 = struct.pack("<3I", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF) + bytes(4)
    image = elf32(mb1 + HEADER + CODE, entry=MIB)
    assert plan(image).protocol == "multiboot1"
    assert plan(image, protocol="multiboot2").protocol == "multiboot2"


def test_optional_wishes_are_passed_over() -> None:
    image = kernel(
        multiboot2_tag(1, struct.pack("<2I", 1, 6)),
        multiboot2_tag(1, struct.pack("<I", 16), flags=1),
        multiboot2_tag(4, struct.pack("<I", 3)),
        multiboot2_tag(5, struct.pack("<3I", 1024, 768, 32)),
        multiboot2_tag(6),
        multiboot2_tag(99, b"?" * 5, flags=1),
    )
    planned = plan(image)
    assert planned.notes == ("the kernel prefers a video mode; it gets 80x25 text",)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (kernel(multiboot2_tag(99)), "requires unknown tag 99"),
        (kernel(multiboot2_tag(1, struct.pack("<2I", 1, 16))), "requires boot information 16"),
        (kernel(multiboot2_tag(2, bytes(16))), "address tag without an entry tag"),
        (kernel(multiboot2_tag(2, bytes(4)), multiboot2_tag(3, bytes(4))), "tag 2 is too short"),
        (kernel(multiboot2_tag(3)), "tag 3 is too short"),
        (kernel(patch(multiboot2_tag(5, bytes(12)), 4, "<I", 4)), "tag 5 of 4 bytes"),
        (kernel(patch(multiboot2_tag(5, bytes(12)), 4, "<I", 4000)), "tag 5 of 4000 bytes"),
        (elf32(multiboot2_header(end=False) + CODE), "no end tag"),
        (elf32(multiboot2_header(architecture=4) + CODE), "architecture 4, not i386"),
        (HEADER + CODE, "not a bootable image"),
    ],
)
def test_broken_headers_are_refused(image: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        plan(image)
