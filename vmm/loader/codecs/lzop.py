"""The lzop container for LZO1X blocks: all fields big-endian, header fields depend on its version.

Decoding a block needs the package `lzallright`, which is optional: no kernel in wide use packs with LZO.
Checksums are stepped over; the payload's own size field and the ELF checks catch damage.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from vmm.loader.codecs.errors import Buffer, DecompressError

MAGIC_SIZE = 9

VERSION_WITH_LEVEL = 0x940
HAS_FILTER = 0x800
PLAIN_CHECKSUMS = 0x001, 0x100
PACKED_CHECKSUMS = 0x002, 0x200
MAX_BLOCK = 64 << 20


class _Cursor:
    """Big-endian fields read one after the other."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.at = MAGIC_SIZE

    def take(self, size: int) -> bytes:
        part = bytes(self.data[self.at : self.at + size])
        if len(part) < size:
            raise DecompressError("the lzo data ends before its stream does", self.at)
        self.at += size
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")


def lzop(data: Buffer, limit: int) -> bytes:
    """All blocks up to the closing zero."""
    unpack = _library()
    cursor = _Cursor(data)
    flags = _header(cursor)
    parts: list[bytes] = []
    got = 0
    while got <= limit and (plain := cursor.number(4)):
        parts.append(_block(cursor, plain, flags, unpack))
        got += plain
    return b"".join(parts)


def _library() -> Callable[[bytes, int], bytes]:
    try:
        unpack: Callable[[bytes, int], bytes] = importlib.import_module("lzallright").LZOCompressor.decompress
    except ImportError:
        raise DecompressError(
            "LZO data needs the Python package lzallright, which is not installed; pip install lzallright"
        ) from None
    return unpack


def _header(cursor: _Cursor) -> int:
    """Step over the header; return its flags, which say what each block carries."""
    version = cursor.number(2)
    modern = version >= VERSION_WITH_LEVEL
    cursor.take(2 + 2 + 1 + 1 if modern else 2 + 1)  # library version, version needed, method, level
    flags = cursor.number(4)
    cursor.take(4 if flags & HAS_FILTER else 0)
    cursor.take(4 + 4 + 4 if modern else 4 + 4)  # file mode, time, high half of the time
    cursor.take(cursor.number(1))  # file name
    cursor.take(4)  # header checksum
    return flags


def _block(cursor: _Cursor, plain: int, flags: int, unpack: Callable[[bytes, int], bytes]) -> bytes:
    start = cursor.at - 4
    packed = cursor.number(4)
    if plain > MAX_BLOCK or packed > plain:
        raise DecompressError(f"LZO block claims {packed} bytes packed, {plain} plain", start)
    cursor.take(4 * sum(bool(flags & bit) for bit in PLAIN_CHECKSUMS))
    if packed == plain:
        return cursor.take(plain)
    cursor.take(4 * sum(bool(flags & bit) for bit in PACKED_CHECKSUMS))
    block = cursor.take(packed)
    try:
        out = bytes(unpack(block, plain))
    except Exception as error:  # the library's exception types cannot be named where it is absent
        raise DecompressError(f"damaged LZO block: {error}", start) from None
    if len(out) != plain:
        raise DecompressError(f"LZO block holds {len(out)} bytes instead of {plain}", start)
    return out
