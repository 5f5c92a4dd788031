"""The Linux "zero page" (Documentation/x86/zero-page, protocol 2.15): 4 KiB that tell a kernel everything.

A bzImage brings its own setup header, which is copied over; for a bare vmlinux one is made up.
Left out: EDD, APM, EFI and video modes other than text, which firmware would fill in.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vmm.loader.layout import PAGE, Layout
from vmm.loader.memory_map import HIGH_RAM_BASE, MIB
from vmm.loader.plan import BootRequest, Region, RegionKind
from vmm.loader.text import cstring
from vmm.loader.view import ImageView, read_file

HEADER = 0x1F1
HEADER_END = 0x290
E820_TABLE, E820_MAX = 0x2D0, 128
UNREGISTERED_LOADER = 0xFF
KASLR_FLAG = 0x02
LINUX_LOW = 0x90000
"""Zero page, tables and command line go here and up: where boot loaders have put them since Linux 1.0."""

DEFAULT_INITRD_MAX = 0x7FFFFFFF
DEFAULT_CMDLINE = 2047


@dataclass(frozen=True, slots=True)
class SetupHeader:
    """The part of a bzImage's header that goes into the zero page, and the limits it states.

    `raw` starts at 0x1F1. `initrd_max` is the highest address an initrd byte may have, `cmdline_max` the
    longest command line without its NUL.
    """

    raw: bytes
    initrd_max: int
    cmdline_max: int
    code32_start: int = 0x100000


def default_header() -> SetupHeader:
    """Header for a kernel without one: protocol 2.12, as Linux's own PVH entry makes up."""
    raw = bytearray(0x26C - HEADER)
    for offset, layout, value in (
        (0x1FA, "<H", 0xFFFF),  # normal video mode
        (0x1FE, "<H", 0xAA55),
        (0x202, "<4s", b"HdrS"),
        (0x206, "<H", 0x20C),
        (0x211, "<B", 0x01),  # loaded high
        (0x22C, "<I", DEFAULT_INITRD_MAX),
        (0x230, "<I", 2 * MIB),
        (0x238, "<I", DEFAULT_CMDLINE),
    ):
        struct.pack_into(layout, raw, offset - HEADER, value)
    return SetupHeader(bytes(raw), DEFAULT_INITRD_MAX, DEFAULT_CMDLINE)


def place_boot_params(layout: Layout, view: ImageView, header: SetupHeader, request: BootRequest) -> int:
    """Place zero page, command line and initrd; return the zero page's address."""
    address = layout.handoff(b"", "boot_params", align=PAGE, size=PAGE, prefer=LINUX_LOW)
    command_line = cstring(view, request.append, header.cmdline_max)
    initrd, initrd_size = _place_initrd(layout, header, request)
    page = bytearray(PAGE)
    page[HEADER : HEADER + len(header.raw)] = header.raw
    for offset, code, value in (
        (0x070, "<Q", request.rsdp),
        (0x1EF, "<B", 0),  # sentinel: not zero would make the kernel distrust the rest
        (0x210, "<B", UNREGISTERED_LOADER),
        (0x211, "<B", page[0x211] & ~KASLR_FLAG),  # set would claim that somebody chose a random base
        (0x214, "<I", header.code32_start),
        (0x218, "<I", initrd),
        (0x21C, "<I", initrd_size),
        (0x228, "<I", layout.handoff(command_line, "command line", prefer=LINUX_LOW)),
        (0x250, "<Q", 0),  # setup_data list: empty
    ):
        struct.pack_into(code, page, offset, value)
    _fill_screen(page)
    _fill_memory(page, request.memory_map)
    layout.fill(address, bytes(page))
    return address


def _place_initrd(layout: Layout, header: SetupHeader, request: BootRequest) -> tuple[int, int]:
    if request.initrd is None:
        return 0, 0
    data = read_file(request.initrd, "initrd", request.memory)
    high = min(header.initrd_max + 1, HIGH_RAM_BASE)
    return layout.down(data, f"initrd {request.initrd}", low=MIB, high=high), len(data)


def _fill_screen(page: bytearray) -> None:
    """screen_info for a VGA in text mode 3; without it the kernel has only serial consoles."""
    page[0x06] = 3
    page[0x07] = 80  # columns
    page[0x0E] = 25  # rows
    page[0x0F] = 1  # VGA
    page[0x10] = 16  # scan lines of a character


def _fill_memory(page: bytearray, regions: tuple[Region, ...]) -> None:
    """The e820 table, and the two sizes that predate it (KiB above 1 MiB)."""
    table = regions[:E820_MAX]
    page[0x1E8] = len(table)
    for index, region in enumerate(table):
        struct.pack_into("<QQI", page, E820_TABLE + index * 20, region.base, region.size, region.kind)
    above = next((r.size for r in regions if r.base == MIB and r.kind is RegionKind.RAM), 0) >> 10
    struct.pack_into("<H", page, 0x002, min(above, 0xFFFF))
    struct.pack_into("<I", page, 0x1E0, above)
