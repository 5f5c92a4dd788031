"""A minimal ISO 9660 image with one directory of files and, by El Torito, a boot sector, a loader or a floppy
disk's image."""

from __future__ import annotations

import struct
from collections.abc import Mapping

BLOCK = 2048
_PVD, _BOOT, _END, _CATALOG, _LITTLE, _BIG, _ROOT = 16, 17, 18, 19, 20, 21, 22
_FIRST_FILE = 23
_DATE = bytes((100, 1, 1, 0, 0, 0, 0))


_NO_EMULATION, _FLOPPY = 0, 2
FLOPPY_BYTES = 1_474_560


def build(files: Mapping[str, bytes], boot: bytes = b"", *, boot_info: bool = False) -> bytes:
    """`files` by upper-case 8.3 name in the root directory; the first 2048 bytes of `boot` are loaded at
    0x7C00. With `boot_info` they are told where the rest is, as mkisofs' -boot-info-table does it. A `boot`
    of 1.44 MB is a floppy disk for the BIOS."""
    contents = {".boot": boot.ljust(BLOCK, b"\0"), **dict(sorted(files.items()))}
    places: dict[str, int] = {}
    block = _FIRST_FILE
    for name, data in contents.items():
        places[name] = block
        block += -(-len(data) // BLOCK)
    if boot_info:
        contents[".boot"] = _with_boot_info(contents[".boot"], places[".boot"], len(boot))
    blocks = {
        _PVD: _volume(block),
        _BOOT: b"\0CD001\1" + b"EL TORITO SPECIFICATION".ljust(64, b"\0") + struct.pack("<I", _CATALOG),
        _END: b"\xffCD001\1",
        _CATALOG: _catalog(places[".boot"], _FLOPPY if len(boot) == FLOPPY_BYTES else _NO_EMULATION),
        _LITTLE: struct.pack("<BBIH2s", 1, 0, _ROOT, 1, b"\0\0"),
        _BIG: struct.pack(">BBIH2s", 1, 0, _ROOT, 1, b"\0\0"),
        _ROOT: _directory({name: (places[name], len(data)) for name, data in files.items()}),
        **{places[name]: data for name, data in contents.items()},
    }
    image = bytearray(block * BLOCK)
    for number, data in blocks.items():
        image[number * BLOCK : number * BLOCK + len(data)] = data
    return bytes(image)


def _both(value: int, size: str) -> bytes:
    return struct.pack("<" + size, value) + struct.pack(">" + size, value)


def _record(name: bytes, block: int, length: int, *, folder: bool) -> bytes:
    body = (
        b"\0"
        + _both(block, "I")
        + _both(length, "I")
        + _DATE
        + bytes((2 if folder else 0, 0, 0))
        + _both(1, "H")
    )
    record = body + bytes((len(name),)) + name + (b"" if len(name) % 2 else b"\0")
    return bytes((len(record) + 1,)) + record


def _directory(files: Mapping[str, tuple[int, int]]) -> bytes:
    records = [_record(name, _ROOT, BLOCK, folder=True) for name in (b"\0", b"\1")]
    for name, (block, length) in sorted(files.items()):
        records.append(_record(name.encode() + b";1", block, length, folder=False))
    return b"".join(records)


def _volume(blocks: int) -> bytes:
    head = b"\1CD001\1\0" + b" " * 32 + b"VMM TEST".ljust(32) + bytes(8) + _both(blocks, "I") + bytes(32)
    sizes = _both(1, "H") + _both(1, "H") + _both(BLOCK, "H") + _both(10, "I")
    tables = struct.pack("<II", _LITTLE, 0) + struct.pack(">II", _BIG, 0)
    root = _record(b"\0", _ROOT, BLOCK, folder=True)
    texts = b" " * (128 * 4 + 37 * 3) + (b"0" * 16 + b"\0") * 4 + b"\1\0"
    return head + sizes + tables + root + texts


def _with_boot_info(boot: bytes, block: int, length: int) -> bytes:
    checksum = sum(struct.unpack(f"<{(length - 64) // 4}I", boot[64 : length & ~3])) & 0xFFFFFFFF
    return boot[:8] + struct.pack("<4I40x", _PVD, block, length, checksum) + boot[64:]


def _catalog(boot_block: int, medium: int) -> bytes:
    validation = bytearray(struct.pack("<BBH24sH2s", 1, 0, 0, b"vmm", 0, b"\x55\xaa"))
    checksum = -sum(struct.unpack("<16H", validation)) & 0xFFFF
    validation[28:30] = struct.pack("<H", checksum)
    entry = struct.pack("<BBHBBHI", 0x88, medium, 0, 0, 0, 1 if medium == _FLOPPY else 4, boot_block)
    return bytes(validation) + entry.ljust(32, b"\0")
