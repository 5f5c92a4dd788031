"""Proves that ELF files land at their physical addresses, enter in the right mode, and lie to no avail."""

from __future__ import annotations

import struct

import pytest

from tests.unit.loader.builders import CODE, MIB, at, blob, elf32, elf64, patch, plan, text_at
from vmm.errors import ImageError, UsageError
from vmm.loader import Module

PHDR = 64  # first program header of `elf64`


def test_elf64_segment_is_placed_at_its_physical_address_with_zeroed_bss() -> None:
    planned = plan(elf64(CODE, 2 * MIB, vaddr=0xFFFFFFFF80200000, memsz=0x3000, entry=2 * MIB))
    segment = planned.blobs[0]
    assert (segment.address, segment.data, segment.size) == (2 * MIB, CODE, 0x3000)


@pytest.mark.parametrize("entry", [2 * MIB, 0xFFFFFFFF80200000])
def test_elf64_entry_may_be_physical_or_virtual(entry: int) -> None:
    planned = plan(elf64(CODE, 2 * MIB, vaddr=0xFFFFFFFF80200000, entry=entry))
    assert (planned.protocol, planned.cpu.mode, planned.cpu.entry) == ("elf64", "long", 2 * MIB)


def test_long_mode_tables_map_four_gib_one_to_one() -> None:
    planned = plan(elf64())
    cpu = planned.cpu
    for address in (0, 0x1FF000, 3 * MIB, 0xFFFFFFFF):
        (pml4,) = struct.unpack("<Q", at(planned, cpu.cr3, 8))
        (pdpt,) = struct.unpack("<Q", at(planned, (pml4 & ~0xFFF) + (address >> 30) * 8, 8))
        (pde,) = struct.unpack("<Q", at(planned, (pdpt & ~0xFFF) + (address >> 21 & 511) * 8, 8))
        assert (pml4 & 0xFFF, pdpt & 0xFFF, pde & 0xFFF) == (3, 3, 0x83)
        assert pde & ~0x1FFFFF == address & ~0x1FFFFF


def test_gdt_has_code_at_0x10_and_data_at_0x18_for_the_mode() -> None:
    for image, code in ((elf64(), 0x00AF9B000000FFFF), (elf32(), 0x00CF9B000000FFFF)):
        planned = plan(image)
        cpu = planned.cpu
        assert (cpu.cs, cpu.ds, cpu.gdt_limit) == (0x10, 0x18, 31)
        assert struct.unpack("<4Q", at(planned, cpu.gdt_base, 32)) == (0, 0, code, 0x00CF93000000FFFF)


def test_elf32_enters_flat_protected_mode_with_boot_params_in_esi() -> None:
    planned = plan(elf32(), append="hello world")
    assert (planned.protocol, planned.cpu.mode, planned.cpu.entry) == ("elf32", "protected", MIB)
    params = planned.cpu.registers["rsi"]
    (cmdline,) = struct.unpack("<I", at(planned, params + 0x228, 4))
    assert text_at(planned, cmdline) == "hello world"


def test_stack_is_memory_that_nothing_else_uses() -> None:
    planned = plan(elf64())
    top = planned.cpu.registers["rsp"]
    stack = next(b for b in planned.blobs if b.end == top)
    assert (stack.what, stack.size) == ("boot stack", 4096)


def test_image_at_the_usual_handoff_address_moves_the_handoff() -> None:
    planned = plan(elf64(bytes(0x8000), 0x8E000, entry=0x8E000))
    assert planned.cpu.registers["rsi"] not in range(0x8E000, 0x96000)


@pytest.mark.parametrize(
    ("offset", "layout", "value", "reason"),
    [
        (4, "<B", 9, "class 9"),
        (5, "<B", 2, "big-endian"),
        (16, "<H", 1, "type 1 is no executable"),
        (18, "<H", 183, "AArch64"),
        (24, "<Q", 0x1234, "entry point 0x1234 lies in no loaded segment"),
        (32, "<Q", 1 << 40, "program header table needs"),
        (54, "<H", 55, "program headers of 55 bytes"),
        (56, "<H", 0, "no program headers"),
        (56, "<H", 0xFFFF, "program header table needs"),
        (PHDR, "<I", 0, "loads nothing"),
        (PHDR + 8, "<Q", 1 << 63, "takes bytes"),
        (PHDR + 24, "<Q", 0xFFFFFFFFFFFFF000, "where no image can be loaded"),
        (PHDR + 24, "<Q", 0xA0000, "where no image can be loaded"),
        (PHDR + 24, "<Q", 0xF0000, "not RAM but reserved"),
        (PHDR + 24, "<Q", 128 * MIB, "outside the guest's 64 MiB"),
        (PHDR + 32, "<Q", 1 << 20, "bytes in the file but"),
        (PHDR + 40, "<Q", 1, "bytes in the file but"),
        (PHDR + 40, "<Q", 1 << 62, "where no image can be loaded"),
    ],
)
def test_broken_field_is_named_in_one_line(offset: int, layout: str, value: int, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        plan(patch(elf64(), offset, layout, value), protocol="elf64")
    assert "\n" not in str(caught.value)


def test_overlapping_segments_are_both_named() -> None:
    image = patch(elf64(CODE), PHDR + 56, "<IIQQQQQQ", 1, 5, 0x200, MIB, MIB + 2, 4, 4, 0)
    with pytest.raises(ImageError, match=r"ELF segment 0 .* overlaps ELF segment 1"):
        plan(image)


def test_truncated_file_says_so() -> None:
    for size in (5, 60, 100, len(elf64()) - 1):
        with pytest.raises(ImageError, match="truncated"):
            plan(elf64()[:size])


def test_too_little_memory_says_how_much_would_do() -> None:
    with pytest.raises(ImageError, match=r"--memory 48M"):
        plan(elf64(CODE, 16 * MIB, memsz=32 * MIB), memory=16 * MIB)


def test_modules_are_refused_for_a_protocol_without_them(tmp_path: object) -> None:
    with pytest.raises(UsageError, match="--module"):
        plan(elf64(), modules=(Module(None, ""),))  # type: ignore[arg-type]


def test_boot_params_of_a_bare_kernel_carry_a_made_up_header() -> None:
    page = blob(plan(elf64(), rsdp=0xE0000), "boot_params")
    assert page[0x202:0x208] == b"HdrS\x0c\x02"
    assert (page[0x210], page[0x1EF]) == (0xFF, 0)
    assert struct.unpack_from("<Q", page, 0x70) == (0xE0000,)
