"""The legacy LZ4 frame, which `lz4 -l` writes and kernels use: a magic, then blocks, and no end mark.

Each block is {u32 packed size, LZ4 block} and holds exactly 8 MiB of content, the last one less. The
`lz4` package reads only the modern frame, so the frame is walked here over its block interface.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import lz4.block

from vmm.loader.codecs.errors import Buffer, DecompressError

HEAD = 4
BLOCK_CONTENT = 8 << 20


def lz4_legacy(data: Buffer, limit: int) -> bytes | mmap.mmap:
    """All blocks of the frame; `data` must end where the frame ends."""
    packed = memoryview(data)
    blocks = list(_blocks(packed))
    if not blocks:
        return b""
    out = _large_pages(min(limit, len(blocks) * BLOCK_CONTENT))
    end = 0
    for start, stop in blocks:
        content = _content(packed[start:stop], start)
        if end + len(content) > len(out):
            raise DecompressError(f"the lz4 data holds more than the {limit} bytes expected", start)
        out[end : end + len(content)] = content
        end += len(content)
    out.resize(end)
    return out


def _blocks(packed: memoryview) -> Iterator[tuple[int, int]]:
    """Where each packed block begins and ends."""
    at = HEAD
    while at < len(packed):
        start = at + 4
        size = int.from_bytes(packed[at:start], "little")
        if start + size > len(packed):
            raise DecompressError(f"LZ4 block of {size} bytes passes the end of the data", at)
        yield start, start + size
        at = start + size


def _large_pages(size: int) -> mmap.mmap:
    """Memory of its own, in pages of 2 MiB where there are some: touching 50 MiB by 4 KiB takes longer than
    the decompression."""
    memory = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _content(packed: memoryview, at: int) -> bytes:
    try:
        content: bytes = lz4.block.decompress(packed, uncompressed_size=BLOCK_CONTENT)
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise DecompressError(f"damaged LZ4 block: {error}", at) from None
    return content
