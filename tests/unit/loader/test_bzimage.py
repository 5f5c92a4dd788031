"""Proves that a bzImage is entered the right way, with a zero page as the boot protocol wants it."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from tests.unit.loader.builders import (
    BZ_KERNEL_AT,
    BZ_PAYLOAD_AT,
    MIB,
    at,
    blob,
    bzimage,
    elf64,
    patch,
    plan,
    text_at,
    xen_note,
)
from vmm.errors import ImageError, UsageError
from vmm.loader import BootPlan, Module, memory_map

VMLINUX = elf64(b"\xf4" * 0x1000, 16 * MIB, memsz=4 * MIB, note=xen_note(16 * MIB + 0x10))
PACKED = gzip.compress(VMLINUX, mtime=0)


def zero_page(planned: BootPlan) -> bytes:
    return at(planned, planned.cpu.registers["rsi"], 4096)


def field(planned: BootPlan, layout: str, offset: int) -> int:
    value: int = struct.unpack_from(layout, zero_page(planned), offset)[0]
    return value


def test_payload_is_decompressed_and_its_elf_entry_used() -> None:
    planned = plan(bzimage(PACKED))
    assert (planned.protocol, planned.cpu.mode, planned.cpu.entry) == ("linux", "long", 16 * MIB)
    assert blob(planned, "ELF segment 0") == b"\xf4" * 0x1000
    assert planned.cpu.registers["rsi"] == 0x90000


def test_zero_page_keeps_the_header_and_adds_what_the_loader_owes() -> None:
    image = bzimage(PACKED)
    page = zero_page(plan(patch(image, 0x211, "<B", 0x03), rsdp=0xE0010))
    assert page[0x1F1:0x210] == image[0x1F1:0x210]
    assert page[0x230:0x250] == image[0x230:0x250]
    assert page[0x26C:0x290] == bytes(0x290 - 0x26C)
    assert (page[0x210], page[0x1EF], page[0x211]) == (0xFF, 0, 1)
    assert (page[6], page[7], page[0xE], page[0xF]) == (3, 80, 25, 1)
    assert struct.unpack_from("<Q", page, 0x70) == (0xE0010,)


def test_e820_is_the_memory_map() -> None:
    page = zero_page(plan(bzimage(PACKED), memory=64 * MIB))
    entries = [struct.unpack_from("<QQI", page, 0x2D0 + 20 * i) for i in range(page[0x1E8])]
    assert entries == [(r.base, r.size, r.kind) for r in memory_map(64 * MIB)]


def test_command_line_is_placed_and_bounded_by_the_kernel() -> None:
    planned = plan(bzimage(PACKED), append="console=ttyS0 nokaslr")
    assert text_at(planned, field(planned, "<I", 0x228)) == "console=ttyS0 nokaslr"
    with pytest.raises(ImageError, match="2048 bytes, this kernel takes 2047"):
        plan(bzimage(PACKED), append="x" * 2048)
    with pytest.raises(UsageError, match="NUL"):
        plan(bzimage(PACKED), append="a\0b")


def test_initrd_goes_as_high_as_the_kernel_and_the_ram_allow(tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(b"0707" * 1500)
    planned = plan(bzimage(PACKED), initrd=initrd)
    assert (field(planned, "<I", 0x218), field(planned, "<I", 0x21C)) == (64 * MIB - 0x2000, 6000)
    assert blob(planned, "initrd") == initrd.read_bytes()
    low = plan(patch(bzimage(PACKED), 0x22C, "<I", 32 * MIB - 1), initrd=initrd)
    assert field(low, "<I", 0x218) == 32 * MIB - 0x2000


def test_initrd_never_lands_on_the_kernel(tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(MIB))
    planned = plan(patch(bzimage(PACKED), 0x22C, "<I", 20 * MIB - 1), initrd=initrd)
    assert field(planned, "<I", 0x218) == 15 * MIB


def test_initrd_larger_than_the_free_ram_is_refused(tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(20 * MIB))
    with pytest.raises(ImageError, match="no 20971520 free bytes for initrd"):
        plan(bzimage(PACKED), memory=32 * MIB, initrd=initrd)
    with pytest.raises(ImageError, match="cannot read the initrd"):
        plan(bzimage(PACKED), initrd=tmp_path / "missing")


def test_explicit_64_bit_entry_is_0x200_into_the_relocated_kernel() -> None:
    planned = plan(bzimage(PACKED), protocol="linux64")
    assert (planned.protocol, planned.cpu.mode, planned.cpu.entry) == ("linux64", "long", 16 * MIB + 0x200)
    assert blob(planned, "the protected-mode kernel") == bzimage(PACKED)[BZ_KERNEL_AT:]


def test_kernel_without_payload_or_64_bit_code_gets_the_32_bit_entry() -> None:
    for image in (bzimage(relocatable=0), bzimage(PACKED, xloadflags=0, relocatable=0)):
        planned = plan(image)
        assert (planned.protocol, planned.cpu.mode, planned.cpu.entry) == ("linux32", "protected", MIB)
        assert field(planned, "<I", 0x214) == MIB


def test_payload_of_unknown_kind_is_left_to_the_kernel() -> None:
    for payload in (b"\x00" * 64, gzip.compress(b"not an ELF file", mtime=0)):
        assert plan(bzimage(payload)).protocol == "linux64"


def test_pvh_on_a_bzimage_enters_its_vmlinux_by_the_note() -> None:
    planned = plan(bzimage(PACKED), protocol="pvh")
    assert (planned.protocol, planned.cpu.entry) == ("pvh", 16 * MIB + 0x10)


def test_working_memory_is_kept_free() -> None:
    image = patch(bzimage(PACKED), 0x260, "<I", 0x7FFFFFFF)
    with pytest.raises(ImageError, match="init_size"):
        plan(image, protocol="linux64")


def test_old_protocols_use_their_own_limits() -> None:
    with pytest.raises(ImageError, match="takes 255"):
        plan(bzimage(version=0x203), append="x" * 256)


@pytest.mark.parametrize(
    ("offset", "layout", "value", "reason"),
    [
        (0x1F1, "<B", 200, "setup sectors end at"),
        (0x201, "<B", 0xF0, "setup header ends"),
        (0x200, "<B", 0xE9, "setup header ends"),
        (0x206, "<H", 0x100, "zImage"),
        (0x211, "<B", 0, "zImage"),
        (0x214, "<I", 0, "16-bit entry"),
        (0x230, "<I", 3, "no power of two"),
        (0x230, "<I", 0, "no power of two"),
        (0x248, "<I", 0x7FFFFFFF, "compressed kernel needs"),
        (0x24C, "<I", 0x7FFFFFFF, "compressed kernel needs"),
        (0x258, "<Q", 0xFFFFFFFFFFF00000, "above 4 GiB"),
    ],
)
def test_broken_field_is_named(offset: int, layout: str, value: int, reason: str) -> None:
    image = patch(bzimage(PACKED), offset, layout, value)
    with pytest.raises(ImageError, match=reason):
        plan(image, protocol="linux64" if offset == 0x258 else "linux" if 0x248 <= offset < 0x250 else None)


def test_damaged_or_lying_payloads_are_refused() -> None:
    flipped = patch(bzimage(PACKED), BZ_PAYLOAD_AT + 40, "<I", 0xDEADBEEF)
    with pytest.raises(ImageError, match=r"offset 0x[0-9a-f]+: damaged gzip data"):
        plan(flipped)
    short = bzimage(PACKED[:-40] + PACKED[-4:])
    with pytest.raises(ImageError, match="ends before its stream"):
        plan(short)
    lying = bzimage(PACKED[:-8] + PACKED[-8:-4] + struct.pack("<I", 100))
    with pytest.raises(ImageError, match="more than the 100 bytes expected"):
        plan(lying)


def test_explicit_protocol_without_what_it_needs() -> None:
    with pytest.raises(ImageError, match="no payload"):
        plan(bzimage(), protocol="linux")
    with pytest.raises(ImageError, match="no 64-bit entry"):
        plan(bzimage(xloadflags=0), protocol="linux64")
    with pytest.raises(ImageError, match="not an ELF file"):
        plan(bzimage(gzip.compress(bytes(64), mtime=0)), protocol="linux")
    with pytest.raises(ImageError, match="none of gzip"):
        plan(bzimage(bytes(64)), protocol="linux")
    with pytest.raises(UsageError, match="--module"):
        plan(bzimage(PACKED), modules=(Module(Path("x")),))
