"""The one error of this package."""

from __future__ import annotations


class DecompressError(Exception):
    """The stream is damaged, cut short, too large, or in a format no installed library reads.

    `offset` is where in the compressed data, when known.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(reason)
        self.offset = offset
