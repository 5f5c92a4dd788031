"""What a guest has sent to one channel: the newest part of it, its length and its hash."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import hashlib

WINDOW = 8 << 20
"""Bytes kept at least; older ones are only counted and hashed."""


class OutputLog:
    """A channel's bytes. Positions count from the guest's first byte, whatever is still kept."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._dropped = 0
        self._hash: hashlib._Hash | None = None
        self._hashed = 0
        self.matched = 0
        """Where the last sign that was waited for ended: the next wait begins there."""
        self.listeners: list[Callable[[bytes], None]] = []

    def append(self, data: bytes) -> None:
        """More from the guest."""
        self._kept += data
        if len(self._kept) > 2 * WINDOW:
            self._catch_up()
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
        return self._catch_up().hexdigest()

    def _catch_up(self) -> hashlib._Hash:
        """The hash of everything up to now: made late, because most runs never ask for it."""
        if self._hash is None:
            import hashlib  # noqa: PLC0415 (slow to load)

            self._hash = hashlib.sha256()
        self._hash.update(memoryview(self._kept)[self._hashed - self._dropped :])
        self._hashed = self.length
        return self._hash

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
