"""The legacy LZ4 frame, which `lz4 -l` writes and kernels use: a magic, then blocks, and no end mark.

Each block is {u32 packed size, LZ4 block} and holds exactly 8 MiB of content, the last one less. The
`lz4` package reads only the modern frame, so the frame is walked here over its block interface.
"""

from __future__ import annotations

import lz4.block

from vmm.loader.codecs.errors import DecompressError

MAGIC = b"\x02\x21\x4c\x18"
BLOCK_CONTENT = 8 << 20


def decode(data: bytes, limit: int) -> bytes:
    """All blocks of the frame; `data` must end where the frame ends."""
    parts: list[bytes] = []
    got, at = 0, len(MAGIC)
    while at < len(data) and got <= limit:
        size = int.from_bytes(data[at : at + 4], "little")
        packed = data[at + 4 : at + 4 + size]
        if at + 4 > len(data) or len(packed) < size:
            raise DecompressError(f"LZ4 block of {size} bytes passes the end of the data", at)
        parts.append(_block(packed, at))
        got += len(parts[-1])
        at += 4 + size
    return b"".join(parts)


def _block(packed: bytes, at: int) -> bytes:
    try:
        return bytes(lz4.block.decompress(packed, uncompressed_size=BLOCK_CONTENT))
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise DecompressError(f"damaged LZ4 block: {error}", at) from None
