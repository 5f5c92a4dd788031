"""What every decoder here takes and what it raises."""

from __future__ import annotations

from mmap import mmap

Buffer = bytes | memoryview | mmap


class DecompressError(Exception):
    """The stream is damaged, cut short, too large, or in a format no installed library reads.

    `offset` is where in the compressed data, when known.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(reason)
        self.offset = offset


def cut_short(name: str, data: Buffer) -> DecompressError:
    """The error (not raised) for a stream that `data` holds only the start of."""
    return DecompressError(f"the {name} data ends before its stream does", len(data))
