"""Structures several boot protocols share: descriptor table, page tables, stack.

Selectors 0x10 and 0x18 are the Linux boot protocol's `__BOOT_CS` and `__BOOT_DS`; the other protocols
leave the choice to the loader.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache

from vmm.loader.layout import HANDOFF_LOW, PAGE, Layout
from vmm.loader.plan import CpuState

BOOT_CS, BOOT_DS = 0x10, 0x18
CODE64 = 0x00AF9B000000FFFF
CODE32 = 0x00CF9B000000FFFF
DATA = 0x00CF93000000FFFF

PRESENT_WRITE = 0x03
LARGE_PAGE = 0x83
MAPPED_GIB = 4


def protected_cpu(
    layout: Layout,
    entry: int,
    registers: Mapping[str, int],
    *,
    tr_32bit: bool = False,
    prefer: int = HANDOFF_LOW,
) -> CpuState:
    """Flat 32-bit protected mode without paging, with a GDT placed in guest RAM from `prefer` up."""
    base, limit = _place_gdt(layout, CODE32, prefer)
    return CpuState(
        "protected",
        entry,
        registers,
        gdt_base=base,
        gdt_limit=limit,
        cs=BOOT_CS,
        ds=BOOT_DS,
        tr_32bit=tr_32bit,
    )


def long_cpu(layout: Layout, entry: int, registers: Mapping[str, int], *, prefer: int) -> CpuState:
    """64-bit mode with the first 4 GiB mapped one to one, tables and GDT placed from `prefer` up."""
    cr3 = layout.handoff(b"", "page tables", align=PAGE, size=6 * PAGE, prefer=prefer)
    layout.fill(cr3, identity_map(cr3))
    base, limit = _place_gdt(layout, CODE64, prefer)
    return CpuState("long", entry, registers, cr3=cr3, gdt_base=base, gdt_limit=limit, cs=BOOT_CS, ds=BOOT_DS)


def place_stack(layout: Layout, prefer: int = HANDOFF_LOW) -> int:
    """One page of stack for entries that may push; return its top."""
    return layout.handoff(b"", "boot stack", align=PAGE, size=PAGE, prefer=prefer) + PAGE


def _place_gdt(layout: Layout, code: int, prefer: int) -> tuple[int, int]:
    table = struct.pack("<4Q", 0, 0, code, DATA)
    return layout.handoff(table, "boot GDT", prefer=prefer), len(table) - 1


@cache
def identity_map(base: int) -> bytes:
    """PML4, PDPT and four page directories of 2 MiB pages for the first 4 GiB, to be put at `base`."""
    pml4 = struct.pack("<Q", base + PAGE | PRESENT_WRITE)
    pdpt = struct.pack("<4Q", *(base + (2 + gib) * PAGE | PRESENT_WRITE for gib in range(MAPPED_GIB)))
    directories = struct.pack("<2048Q", *(page << 21 | LARGE_PAGE for page in range(MAPPED_GIB * 512)))
    return pml4.ljust(PAGE, b"\0") + pdpt.ljust(PAGE, b"\0") + directories
