"""A disk as bytes in memory, to which the same is done as to an image."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vmm.monitor.disk import Layer

SECTOR = 512


class Write(NamedTuple):
    """One change, in sectors; `seed` None makes zeros, `discard` gives the range back."""

    sector: int
    length: int
    seed: int | None
    discard: bool = False


@dataclass
class Model:
    """What the disk must show."""

    data: bytearray = field(default_factory=bytearray)

    @classmethod
    def of_size(cls, size: int) -> Model:
        return cls(bytearray(size))

    def apply(self, layer: Layer, change: Write) -> None:
        """The change, here and there."""
        start = change.sector * SECTOR % len(self.data)
        length = min(change.length * SECTOR, len(self.data) - start)
        if change.seed is None:
            (layer.discard if change.discard else layer.write_zeroes)(start, length)
            self.data[start : start + length] = bytes(length)
        else:
            content = random.Random(change.seed).randbytes(length)
            layer.write(start, content)
            self.data[start : start + length] = content

    def scribble(self, layer: Layer, seed: int, count: int = 30, largest: int = 300) -> None:
        """A number of random changes."""
        rng = random.Random(seed)
        for number in range(count):
            kind = number % 5
            content = None if kind in {1, 3} else rng.randrange(1 << 30)
            sector = rng.randrange(len(self.data) // SECTOR)
            self.apply(layer, Write(sector, rng.randrange(1, largest), content, kind == 3))

    def grow(self, size: int) -> None:
        """More zeros at the end."""
        self.data += bytes(size - len(self.data))

    def save(self, path: Path) -> Path:
        """As a raw image."""
        path.write_bytes(self.data)
        return path


def contents(layer: Layer) -> bytes:
    """All a disk shows."""
    return b"".join(layer.read(at, min(1 << 20, layer.size - at)) for at in range(0, layer.size, 1 << 20))
