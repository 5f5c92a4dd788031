"""Decompression of kernel payloads and `.gz` images, never producing more than the caller allows.

One function per format, `(data, limit) -> content`, found by the magic bytes. Each stops soon after `limit`,
so a decompression bomb costs at most that, and ignores what follows the end of its stream.
"""

from __future__ import annotations

import importlib
from mmap import mmap
from typing import Any, NamedTuple

from vmm.loader.codecs.errors import Buffer, DecompressError

__all__ = ["CODECS", "Codec", "DecompressError", "decompress", "find_codec"]


class Codec(NamedTuple):
    """One compression format: its name, the bytes it starts with, and the module and name of its decoder,
    imported when it is needed: some of their libraries are slow to load, and an image needs one or none."""

    name: str
    magic: bytes
    module: str
    function: str

    def decode(self, data: Buffer, limit: int) -> bytes | mmap:
        """The content of the stream; if it is larger, a little more than `limit` bytes or DecompressError."""
        module: Any = importlib.import_module(f"vmm.loader.codecs.{self.module}")
        content: bytes | mmap = getattr(module, self.function)(data, limit)
        return content


CODECS = (
    Codec("gzip", b"\x1f\x8b", "gzip_stream", "gzip"),
    Codec("bzip2", b"BZh", "bz2_lzma", "bzip2"),
    Codec("lzma", b"\x5d\x00\x00", "bz2_lzma", "lzma_alone"),
    Codec("xz", b"\xfd7zXZ\x00", "bz2_lzma", "xz"),
    Codec("zstd", b"\x28\xb5\x2f\xfd", "zstd", "zstd"),
    Codec("lz4", b"\x02\x21\x4c\x18", "lz4_legacy", "lz4_legacy"),
    Codec("lzo", b"\x89LZO\x00\r\n\x1a\n", "lzop", "lzop"),
)
_LONGEST_MAGIC = max(len(codec.magic) for codec in CODECS)


def find_codec(data: Buffer) -> Codec | None:
    """The codec whose magic `data` starts with, or None."""
    start = bytes(data[:_LONGEST_MAGIC])
    return next((codec for codec in CODECS if start.startswith(codec.magic)), None)


def decompress(codec: Codec, data: Buffer, limit: int) -> bytes | mmap:
    """The stream at the start of `data`, decoded to at most `limit` bytes; DecompressError otherwise."""
    out = codec.decode(data, limit)
    if len(out) > limit:
        raise DecompressError(f"the {codec.name} data holds more than the {limit} bytes expected")
    return out
