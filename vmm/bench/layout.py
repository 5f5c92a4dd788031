"""Where a micro-kernel's image has what; physical addresses, which are the linear ones too.

The tables a processor needs in long mode are data made here, so that no code has to build them: Intel SDM
vol. 3, 3.4.5 and 3.5 (descriptors), 4.5 (paging), 6.14.1 (gates), 8.7 (TSS).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

HEADER, START, MAIN, LOOP, EMPTY_LOOP = 0x100000, 0x100020, 0x101000, 0x102000, 0x102800
ENTRY, HANDLERS = 0x103000, 0x104000
HANDLER_ROOM, HANDLER_SLOTS = 0x100, 16
TEXT_END = HANDLERS + HANDLER_ROOM * HANDLER_SLOTS
GDT, IDT, TSS, PML4 = 0x200000, 0x201000, 0x202000, 0x206000
PDPT, PD_LOW, PD_HIGH, PD_TEST, PT_TEST = (PML4 + 0x1000 * n for n in range(1, 6))
VARIABLES, SCRATCH, PAGE = 0x20C000, 0x20D000, 0x210000
DATA_END = 0x211000
KERNEL_STACK, USER_STACK, TRAP_STACK, IMAGE_END = 0x220000, 0x230000, 0x240000, 0x240000

COUNT, SAVED_RSP, GDT_POINTER, IDT_POINTER = (VARIABLES + 16 * n for n in range(4))
"""Variables: iterations to measure; RSP while at CPL 3; operands of LGDT and LIDT."""

TEST = 0x40000000
"""A 2 MiB stretch of 4 KiB pages: page 0 is SCRATCH, page 1 is not present, page 2 is SCRATCH again."""
TEST_PTE = PT_TEST + 16

KERNEL_CS, KERNEL_DS, USER_CS32, USER_DS, USER_CS, USER_DS2, TSS_SELECTOR = range(8, 0x39, 8)
LDT_SELECTOR = 0x48
TSS_LIMIT = 0x67

LAPIC, IOAPIC = 0xFEE00000, 0xFEC00000

_CODE64, _CODE32, _DATA = 0x00AF9B000000FFFF, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
_DPL3 = 0x6000 << 32
_PRESENT, _WRITABLE, _USER, _UNCACHED, _LARGE = 1, 2, 4, 0x10, 0x80
_OPEN = _PRESENT | _WRITABLE | _USER


def _system(base: int, limit: int, kind: int) -> tuple[int, int]:
    low = limit & 0xFFFF | (base & 0xFFFFFF) << 16 | (kind | 0x80) << 40 | (base >> 24 & 0xFF) << 56
    return low, base >> 32


def _gdt() -> bytes:
    flat = (0, _CODE64, _DATA, _CODE32 | _DPL3, _DATA | _DPL3, _CODE64 | _DPL3, _DATA | _DPL3)
    tss, ldt = _system(TSS, TSS_LIMIT, 9), _system(SCRATCH, 0xF, 2)
    return struct.pack("<11Q", *flat, *tss, *ldt)


GDT_LIMIT = len(_gdt()) - 1
IDT_LIMIT = 0xFFF


def _idt(handlers: Mapping[int, int], default: int) -> bytes:
    gates = b""
    for vector in range(256):
        at = handlers.get(vector, default)
        flags = 0xEE00 if vector >= 0x80 else 0x8E00  # from 0x80 on, open to INT at CPL 3
        gates += struct.pack("<HHHHII", at & 0xFFFF, KERNEL_CS, flags, at >> 16 & 0xFFFF, at >> 32, 0)
    return gates


def _tss() -> bytes:
    return struct.pack("<I3Q", 0, TRAP_STACK, TRAP_STACK, TRAP_STACK).ljust(0x66, b"\0") + b"\xff\xff"


def _table(entries: Mapping[int, int]) -> bytes:
    return struct.pack("<512Q", *(entries.get(index, 0) for index in range(512)))


def tables(handlers: Mapping[int, int], default: int) -> dict[int, bytes]:
    """Bytes by address: GDT, IDT, TSS and page tables that map the low and the fourth GiB to themselves."""
    low = {n: n << 21 | _OPEN | _LARGE for n in range(512)}
    high = {n: 3 << 30 | n << 21 | _OPEN | _LARGE | _UNCACHED for n in range(512)}
    return {
        GDT: _gdt(),
        IDT: _idt(handlers, default),
        TSS: _tss(),
        PML4: _table({0: PDPT | _OPEN}),
        PDPT: _table({0: PD_LOW | _OPEN, 1: PD_TEST | _OPEN, 3: PD_HIGH | _OPEN}),
        PD_LOW: _table(low),
        PD_HIGH: _table(high),
        PD_TEST: _table({0: PT_TEST | _OPEN}),
        PT_TEST: _table({0: SCRATCH | _OPEN, 2: SCRATCH | _OPEN}),
    }
