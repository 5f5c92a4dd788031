"""Proves that a guest calling the BIOS that is not there gets "not supported" and keeps its registers."""

from __future__ import annotations

import struct
from importlib import import_module
from typing import Any

import pytest
from unicorn import UC_ARCH_X86, UC_MODE_16
from unicorn.x86_const import (
    UC_X86_REG_AX,
    UC_X86_REG_BP,
    UC_X86_REG_CS,
    UC_X86_REG_EFLAGS,
    UC_X86_REG_SP,
    UC_X86_REG_SS,
)

from tests.unit.loader.builders import MIB, at, blob, elf32, elf64, multiboot1_header, plan

CARRY, RETURN_TO, STACK = 1, 0x7C00, 0x7000


@pytest.mark.parametrize("vector", [0x10, 0x13, 0x15, 0x16, 0xFF])
def test_every_vector_answers_with_carry_and_ah_86(vector: int) -> None:
    area = blob(plan(elf64()), "BIOS area")
    engine: Any = import_module("unicorn").Uc  # its own annotations stop half-way
    cpu = engine(UC_ARCH_X86, UC_MODE_16)
    cpu.mem_map(0, MIB)
    cpu.mem_write(0, area)
    cpu.mem_write(STACK - 6, struct.pack("<HHH", RETURN_TO, 0, 0x0202))  # as INT pushes: IP, CS, FLAGS
    for register, value in (
        (UC_X86_REG_CS, 0),
        (UC_X86_REG_SS, 0),
        (UC_X86_REG_SP, STACK - 6),
        (UC_X86_REG_AX, 0xE820),
        (UC_X86_REG_BP, 0x1234),
    ):
        cpu.reg_write(register, value)
    offset, segment = struct.unpack_from("<HH", area, vector * 4)
    cpu.emu_start(segment * 16 + offset, RETURN_TO, count=20)
    assert cpu.reg_read(UC_X86_REG_AX) == 0x8620
    assert cpu.reg_read(UC_X86_REG_EFLAGS) & CARRY
    assert (cpu.reg_read(UC_X86_REG_SP), cpu.reg_read(UC_X86_REG_BP)) == (STACK, 0x1234)


def test_data_area_tells_where_conventional_memory_ends() -> None:
    planned = plan(elf32(multiboot1_header(), entry=MIB))
    assert struct.unpack("<H", at(planned, 0x40E, 2)) == (0x9FC0,)
    assert struct.unpack("<H", at(planned, 0x413, 2)) == (639,)


def test_image_that_loads_there_keeps_its_bytes() -> None:
    planned = plan(elf32(b"\xf4" * 0x200, 0x400))
    assert [b.what for b in planned.blobs if b.address < 0x600] == ["ELF segment 0"]
