"""Small images built byte by byte, independent of the readers they test.

Every builder returns a valid image; tests break one field at a time with `patch`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from vmm.loader import BootPlan, BootRequest, memory_map, plan_view
from vmm.loader.view import ImageView

MIB = 1 << 20
CODE = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp $-1
MB1_MAGIC, MB2_MAGIC = 0x1BADB002, 0xE85250D6

ELF_CODE_AT = 0x200
"""File offset of the first segment's bytes in images of `elf32` and `elf64`."""


def request(memory: int = 64 * MIB, **options: Any) -> BootRequest:
    """A request for a PC with `memory` bytes."""
    return BootRequest(memory=memory, memory_map=memory_map(memory), **options)


def plan(data: bytes, memory: int = 64 * MIB, **options: Any) -> BootPlan:
    """Plan of an image that is not in a file."""
    return plan_view(ImageView(Path("image"), data), request(memory, **options))


def blob(planned: BootPlan, what: str) -> bytes:
    """Content of the plan's first blob whose name starts with `what`."""
    return next(bytes(b.data) for b in planned.blobs if b.what.startswith(what))


def at(planned: BootPlan, address: int, size: int) -> bytes:
    """`size` bytes of guest RAM at `address`, as the plan's blobs leave it."""
    for b in planned.blobs:
        if b.address <= address and address + size <= b.end:
            start = address - b.address
            return bytes(b.data[start : start + size]).ljust(size, b"\0")
    raise AssertionError(f"no blob at {address:#x}..{address + size:#x}")


def text_at(planned: BootPlan, address: int) -> str:
    """The NUL-terminated string at `address`."""
    b = next(b for b in planned.blobs if b.address <= address < b.end)
    return bytes(b.data[address - b.address :]).split(b"\0")[0].decode()


def patch(data: bytes, offset: int, layout: str, *values: int) -> bytes:
    """`data` with fields of the `struct` format `layout` at `offset` replaced."""
    out = bytearray(data)
    struct.pack_into(layout, out, offset, *values)
    return bytes(out)


def elf64(
    body: bytes = CODE,
    paddr: int = MIB,
    *,
    vaddr: int | None = None,
    memsz: int | None = None,
    entry: int | None = None,
    note: bytes = b"",
) -> bytes:
    """ELF64 executable: one PT_LOAD with `body`, one PT_NOTE with `note`."""
    vaddr = paddr if vaddr is None else vaddr
    memsz = len(body) if memsz is None else memsz
    note_at = ELF_CODE_AT - len(note)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQI", 2, 62, 1, paddr if entry is None else entry, 64, 0, 0)
    header += struct.pack("<6H", 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, ELF_CODE_AT, vaddr, paddr, len(body), memsz, 0x1000)
    notes = struct.pack("<IIQQQQQQ", 4, 4, note_at, 0, 0, len(note), len(note), 4)
    return (header + load + notes).ljust(note_at, b"\0") + note + body


def elf32(
    body: bytes = CODE, paddr: int = MIB, *, memsz: int | None = None, entry: int | None = None
) -> bytes:
    """ELF32 executable with one PT_LOAD."""
    memsz = len(body) if memsz is None else memsz
    header = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIIIII", 2, 3, 1, paddr if entry is None else entry, 52, 0, 0)
    header += struct.pack("<6H", 52, 32, 1, 40, 0, 0)
    load = struct.pack("<8I", 1, ELF_CODE_AT, paddr, paddr, len(body), memsz, 5, 0x1000)
    return (header + load).ljust(ELF_CODE_AT, b"\0") + body


def xen_note(entry: int = MIB, *, layout: str = "<Q", kind: int = 18) -> bytes:
    """A "Xen" note, by default the PVH entry."""
    value = struct.pack(layout, entry)
    return struct.pack("<III", 4, len(value), kind) + b"Xen\0" + value.ljust((len(value) + 3) & ~3, b"\0")


def with_symbols(image: bytes, symbols: dict[str, int]) -> bytes:
    """An ELF64 image with a section table: null, .symtab, .strtab."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in symbols)
    table = bytes(24)
    at_name = 1
    for name, value in symbols.items():
        table += struct.pack("<IBBHQQ", at_name, 0x12, 0, 1, value, 0)
        at_name += len(name) + 1
    image = image.ljust((len(image) + 7) & ~7, b"\0")
    symtab_at, strtab_at = len(image), len(image) + len(table)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, symtab_at, len(table), 2, 1, 8, 24)
    sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, strtab_at, len(strings), 0, 0, 1, 0)
    sections_at = strtab_at + len(strings)
    image = patch(image, 40, "<Q", sections_at)
    image = patch(image, 58, "<HHH", 64, 3, 2)
    return image + table + strings + sections


def multiboot1_header(flags: int = 0, *fields: int) -> bytes:
    """Header with a right checksum, followed by `fields`."""
    return struct.pack(f"<{3 + len(fields)}I", MB1_MAGIC, flags, -(MB1_MAGIC + flags) & 0xFFFFFFFF, *fields)


def multiboot2_tag(kind: int, data: bytes = b"", flags: int = 0) -> bytes:
    """One header tag, padded to 8 bytes."""
    tag = struct.pack("<HHI", kind, flags, 8 + len(data)) + data
    return tag.ljust((len(tag) + 7) & ~7, b"\0")


def multiboot2_header(*tags: bytes, architecture: int = 0, end: bool = True) -> bytes:
    """Header with a right checksum around `tags`."""
    body = b"".join(tags) + (multiboot2_tag(0) if end else b"")
    length = 16 + len(body)
    checksum = -(MB2_MAGIC + architecture + length) & 0xFFFFFFFF
    return struct.pack("<4I", MB2_MAGIC, architecture, length, checksum) + body


BZ_KERNEL_AT = 1024
"""File offset of the protected-mode part in images of `bzimage` (one setup sector)."""

BZ_PAYLOAD_AT = BZ_KERNEL_AT + 0x400


def bzimage(
    payload: bytes = b"", *, version: int = 0x20F, xloadflags: int = 1, relocatable: int = 1
) -> bytes:
    """A bzImage of protocol `version` with `payload` 0x400 bytes into its protected-mode part."""
    image = bytearray(BZ_PAYLOAD_AT) + payload
    for offset, layout, value in (
        (0x1F1, "<B", 1),
        (0x1FE, "<H", 0xAA55),
        (0x200, "<H", 0x6AEB),
        (0x206, "<H", version),
        (0x211, "<B", 1),
        (0x214, "<I", MIB),
        (0x22C, "<I", 0x7FFFFFFF),
        (0x230, "<I", 2 * MIB),
        (0x234, "<B", relocatable),
        (0x236, "<H", xloadflags),
        (0x238, "<I", 2047),
        (0x248, "<I", 0x400 if payload else 0),
        (0x24C, "<I", len(payload)),
        (0x258, "<Q", 16 * MIB if relocatable else MIB),
        (0x260, "<I", 8 * MIB),
    ):
        struct.pack_into(layout, image, offset, value)
    image[0x202:0x206] = b"HdrS"
    return bytes(image)


def rom(vector: bytes = b"\xea\x5b\xe0\x00\xf0", pages: int = 1) -> bytes:
    """A ROM of `pages` * 64 KiB whose last 16 bytes start with `vector`."""
    return bytes(pages * 0x10000 - 16) + vector.ljust(16, b"\0")


def boot_sector(sectors: int = 1) -> bytes:
    """A boot sector, with more sectors behind it."""
    return CODE.ljust(510, b"\0") + b"\x55\xaa" + bytes((sectors - 1) * 512)
