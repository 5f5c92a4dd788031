"""Decompression of kernel payloads and `.gz` images, never producing more than the caller allows.

One function per format, `(data, limit) -> bytes`, found by the magic bytes. Each stops soon after `limit`,
so a decompression bomb costs at most that, and ignores what follows the end of its stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmm.loader.codecs import lz4_legacy, lzop, streams
from vmm.loader.codecs.errors import DecompressError

__all__ = ["CODECS", "Codec", "DecompressError", "decompress", "find_codec"]


@dataclass(frozen=True, slots=True)
class Codec:
    """One compression format: its name, the bytes it starts with, its decoder."""

    name: str
    magic: bytes
    decode: Callable[[bytes, int], bytes]


CODECS = (
    Codec("gzip", b"\x1f\x8b", streams.gzip),
    Codec("bzip2", b"BZh", streams.bzip2),
    Codec("lzma", b"\x5d\x00\x00", streams.lzma_alone),
    Codec("xz", b"\xfd7zXZ\x00", streams.xz),
    Codec("zstd", b"\x28\xb5\x2f\xfd", streams.zstd),
    Codec("lz4", lz4_legacy.MAGIC, lz4_legacy.decode),
    Codec("lzo", lzop.MAGIC, lzop.decode),
)


def find_codec(data: bytes) -> Codec | None:
    """The codec whose magic `data` starts with, or None."""
    return next((codec for codec in CODECS if data.startswith(codec.magic)), None)


def decompress(codec: Codec, data: bytes, limit: int) -> bytes:
    """The stream at the start of `data`, decoded to at most `limit` bytes; DecompressError otherwise."""
    out = codec.decode(data, limit)
    if len(out) > limit:
        raise DecompressError(f"the {codec.name} data holds more than the {limit} bytes expected")
    return out
