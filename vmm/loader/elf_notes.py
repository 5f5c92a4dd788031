"""ELF notes (gABI "Note Section"): where a kernel says it can be entered the PVH way."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from vmm.loader.elf import PT_NOTE, Elf, Segment

XEN_PHYS32_ENTRY = 18
MAX_NOTES = 1 << 20


def pvh_entry(elf: Elf) -> tuple[int, int] | None:
    """(32-bit physical entry, offset of the note's value in the file), or None without the note.

    ImageError when the note is there but its value is not 4 or 8 bytes.
    """
    for segment in elf.segments:
        if segment.type != PT_NOTE:
            continue
        for name, kind, offset, size in _notes(elf, segment):
            if name == b"Xen\0" and kind == XEN_PHYS32_ENTRY:
                if size not in (4, 8):
                    raise elf.view.error(f"the PVH note's value has {size} bytes, not 4 or 8", offset=offset)
                return int.from_bytes(elf.view.data[offset : offset + size], "little"), offset
    return None


def _notes(elf: Elf, segment: Segment) -> Iterator[tuple[bytes, int, int, int]]:
    """(name, type, value offset in the file, value size) of each note, up to the first that does not fit."""
    end = min(segment.offset + min(segment.filesz, MAX_NOTES), len(elf.view))
    at = segment.offset
    while at + 12 <= end:
        name_size, size, kind = struct.unpack_from("<III", elf.view.data, at)
        value = at + 12 + _padded(name_size)
        if value + size > end:
            return
        yield elf.view.data[at + 12 : at + 12 + name_size], kind, value, size
        at = value + _padded(size)


def _padded(size: int) -> int:
    return (size + 3) & ~3
