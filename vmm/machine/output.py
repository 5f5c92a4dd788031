"""What a guest has sent to one channel: the newest part of it, its length and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

WINDOW = 8 << 20
"""Bytes kept at least; older ones are only counted and hashed."""


class OutputLog:
    """A channel's bytes. Positions count from the guest's first byte, whatever is still kept."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._dropped = 0
        self._hash = hashlib.sha256()
        self.matched = 0
        """Where the last sign that was waited for ended: the next wait begins there."""
        self.listeners: list[Callable[[bytes], None]] = []

    def append(self, data: bytes) -> None:
        """More from the guest."""
        self._kept += data
        self._hash.update(data)
        if len(self._kept) > 2 * WINDOW:
            excess = len(self._kept) - WINDOW
            del self._kept[:excess]
            self._dropped += excess
        for listener in self.listeners:
            listener(data)

    @property
    def length(self) -> int:
        """Bytes the guest has sent in all."""
        return self._dropped + len(self._kept)

    @property
    def sha256(self) -> str:
        """Hash of every byte the guest has sent."""
        return self._hash.hexdigest()

    @property
    def data(self) -> bytes:
        """The bytes that are kept."""
        return bytes(self._kept)

    def since(self, position: int) -> bytes:
        """Bytes from `position` on, as far as they are kept."""
        return bytes(self._kept[max(position - self._dropped, 0) :])

    def window(self) -> tuple[bytearray, int]:
        """(kept bytes, position of the first of them), without a copy: to be read only."""
        return self._kept, self._dropped
