"""The first 0x500 bytes of a PC that no BIOS has prepared: interrupt vectors and BIOS data area.

Xen and others drop to real mode and call the BIOS for a memory map, disks and video although their loader
has told them all; with empty vectors Xen dies before its first message. So every vector leads to a handler
that answers as a BIOS does to functions it does not have: carry set, AH = 86h. Left out: every service
itself, and the extended BIOS data area, which stays zero.
"""

from __future__ import annotations

import struct

from vmm.loader.layout import Layout
from vmm.loader.memory_map import EBDA_BASE

DATA_AREA = 0x400
HANDLER = 0x4F0  # the 16 bytes of the data area that are for applications
SIZE = 0x500

# push bp; mov bp,sp; or byte [bp+6],1 (carry in the caller's flags); pop bp; mov ah,0x86; iret
UNSUPPORTED = bytes.fromhex("55 89e5 804e0601 5d b486 cf")

_FIELDS = (
    (0x00, "<H", 0x3F8),  # COM1
    (0x02, "<H", 0x2F8),  # COM2
    (0x0E, "<H", EBDA_BASE >> 4),
    (0x10, "<H", 0x0422),  # equipment: x87, 80x25 colour, two serial ports
    (0x13, "<H", EBDA_BASE >> 10),  # KiB of conventional memory
    (0x49, "<B", 3),  # video mode
    (0x4A, "<H", 80),  # columns
    (0x4C, "<H", 4096),  # bytes of a video page
    (0x60, "<H", 0x0607),  # cursor shape
    (0x63, "<H", 0x3D4),  # CRT controller port
    (0x84, "<B", 24),  # rows - 1
    (0x85, "<H", 16),  # character height
)


def place_bios_area(layout: Layout) -> None:
    """Place vectors and data area, unless the image itself loads there: then all of it is the image's."""
    area = bytearray(struct.pack("<HH", HANDLER, 0) * 256).ljust(SIZE, b"\0")
    for offset, code, value in _FIELDS:
        struct.pack_into(code, area, DATA_AREA + offset, value)
    area[HANDLER : HANDLER + len(UNSUPPORTED)] = UNSUPPORTED
    if layout.is_free(0, SIZE):
        layout.fixed(0, bytes(area), "BIOS area")
