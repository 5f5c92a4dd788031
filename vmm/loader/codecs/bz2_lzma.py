"""bzip2, lzma and xz, with the standard library, whose decoders all stop at a given size."""

from __future__ import annotations

import bz2
import lzma
from typing import Protocol

from vmm.loader.codecs.errors import Buffer, DecompressError, cut_short

XZ_MEMORY = 256 << 20
"""Ceiling for the decoder, which allocates the dictionary its header names; `xz -9` needs 65 MiB."""


class _Decoder(Protocol):
    """What the decoder objects of bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: Buffer, max_length: int) -> bytes: ...


def bzip2(data: Buffer, limit: int) -> bytes:
    """The format of bzip2(1)."""
    return _drain(bz2.BZ2Decompressor(), "bzip2", data, limit)


def lzma_alone(data: Buffer, limit: int) -> bytes:
    """The old `.lzma` format, 13-byte header."""
    return _drain(lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=XZ_MEMORY), "lzma", data, limit)


def xz(data: Buffer, limit: int) -> bytes:
    """The `.xz` container, with the x86 filter kernels use."""
    return _drain(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY), "xz", data, limit)


def _drain(decoder: _Decoder, name: str, data: Buffer, limit: int) -> bytes:
    try:
        parts = [decoder.decompress(data, limit + 1)]
        room = limit + 1 - len(parts[0])
        while room > 0 and not decoder.eof and not decoder.needs_input:
            parts.append(decoder.decompress(b"", room))
            room -= len(parts[-1])
    except (lzma.LZMAError, OSError, ValueError, MemoryError) as error:
        raise DecompressError(f"damaged {name} data: {error}") from None
    if room > 0 and not decoder.eof:
        raise cut_short(name, data)
    return b"".join(parts)
