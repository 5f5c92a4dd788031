"""Zstandard, with the package zstandard."""

from __future__ import annotations

import zstandard

from vmm.loader.codecs.errors import Buffer, DecompressError

ZSTD_WINDOW = 128 << 20
"""Largest window accepted: what `zstd --ultra -22`, the kernel's own choice, asks for."""


def zstd(data: Buffer, limit: int) -> bytes:
    """RFC 8878; the first frame. A frame cut short decodes to less: the caller knows the true size."""
    decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    try:
        with decoder.stream_reader(memoryview(data)) as reader:
            return bytes(reader.read(limit + 1))
    except (zstandard.ZstdError, MemoryError) as error:
        raise DecompressError(f"damaged zstd data: {error}") from None
