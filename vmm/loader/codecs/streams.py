"""gzip, bzip2, lzma, xz and zstd: formats whose libraries decode a stream up to a given size."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Protocol

import zstandard

from vmm.loader.codecs.errors import DecompressError

XZ_MEMORY = 256 << 20
"""Ceiling for the decoder, which allocates the dictionary its header names; `xz -9` needs 65 MiB."""

ZSTD_WINDOW = 128 << 20
"""Largest window accepted: what `zstd --ultra -22`, the kernel's own choice, asks for."""


class _Decoder(Protocol):
    """What the decoder objects of bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def gzip(data: bytes, limit: int) -> bytes:
    """RFC 1952; only the first member."""
    decoder = zlib.decompressobj(wbits=31)
    try:
        out = decoder.decompress(data, limit + 1)
    except zlib.error as error:
        raise DecompressError(f"damaged gzip data: {error}") from None
    if not decoder.eof and len(out) <= limit:
        raise _cut_short("gzip", data)
    return out


def bzip2(data: bytes, limit: int) -> bytes:
    """The format of bzip2(1)."""
    return _drain(bz2.BZ2Decompressor(), "bzip2", data, limit)


def lzma_alone(data: bytes, limit: int) -> bytes:
    """The old `.lzma` format, 13-byte header."""
    return _drain(lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=XZ_MEMORY), "lzma", data, limit)


def xz(data: bytes, limit: int) -> bytes:
    """The `.xz` container, with the x86 filter kernels use."""
    return _drain(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY), "xz", data, limit)


def zstd(data: bytes, limit: int) -> bytes:
    """RFC 8878; the first frame. A frame cut short decodes to less: the caller knows the true size."""
    decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    try:
        with decoder.stream_reader(data) as reader:
            return bytes(reader.read(limit + 1))
    except (zstandard.ZstdError, MemoryError) as error:
        raise DecompressError(f"damaged zstd data: {error}") from None


def _drain(decoder: _Decoder, name: str, data: bytes, limit: int) -> bytes:
    try:
        parts = [decoder.decompress(data, limit + 1)]
        room = limit + 1 - len(parts[0])
        while room > 0 and not decoder.eof and not decoder.needs_input:
            parts.append(decoder.decompress(b"", room))
            room -= len(parts[-1])
    except (lzma.LZMAError, OSError, ValueError, MemoryError) as error:
        raise DecompressError(f"damaged {name} data: {error}") from None
    if room > 0 and not decoder.eof:
        raise _cut_short(name, data)
    return b"".join(parts)


def _cut_short(name: str, data: bytes) -> DecompressError:
    return DecompressError(f"the {name} data ends before its stream does", len(data))
