"""Putting an ELF executable's segments where their physical addresses say."""

from __future__ import annotations

from vmm.loader.elf import Elf
from vmm.loader.layout import Layout


def place_segments(elf: Elf, layout: Layout) -> int:
    """Place every PT_LOAD at p_paddr, BSS zeroed; return the first address after the highest.

    The highest goes first, so that an image too large for the RAM is told how much would do.
    """
    for segment in sorted(elf.loads, key=lambda load: load.paddr + load.memsz, reverse=True):
        layout.fixed(
            segment.paddr, elf.content(segment), segment.what, size=segment.memsz, offset=segment.header
        )
    return max(segment.paddr + segment.memsz for segment in elf.loads)
