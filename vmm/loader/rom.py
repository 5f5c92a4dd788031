"""A ROM that starts at the x86 reset vector: BIOS, firmware builds of GRUB and U-Boot.

Recognised by what the processor needs of it: a whole number of 64 KiB pages, and in its last 16 bytes, where
the first instruction is fetched from (Intel SDM 3A, 10.1.4), a jump to somewhere else.
"""

from __future__ import annotations

from vmm.loader.elf import is_elf
from vmm.loader.format import Format, refuse
from vmm.loader.plan import BootPlan, BootRequest, CpuState
from vmm.loader.view import ImageView

PAGE_64K = 0x10000
MAX_ROM = 16 << 20
"""Larger would reach down to the APICs' registers."""

JUMPS = frozenset((0xE9, 0xEA, 0xEB))
HARMLESS = frozenset((0x90, 0xFA, 0xFC))
"""NOP, CLI, CLD: what U-Boot puts before its jump."""


def probe(view: ImageView) -> bool:
    """Size and reset vector as a ROM has them."""
    if len(view) % PAGE_64K or not 0 < len(view) <= MAX_ROM or is_elf(view):
        return False
    vector = view.data[-16:]
    return vector.lstrip(bytes(HARMLESS))[:1] in {bytes((jump,)) for jump in JUMPS}


def plan(view: ImageView, request: BootRequest) -> BootPlan:
    """The whole file is the ROM; the guest gets nothing else from us."""
    refuse(request, "rom", "append", "initrd", "modules")
    cpu = CpuState("reset", 0xFFFFFFF0, {})
    return BootPlan("rom", view.path, (), cpu, view.data[:], None, ())


FORMAT = Format("rom", ("rom",), probe, plan)
