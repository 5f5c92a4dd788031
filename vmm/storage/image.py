"""A disk image that is open: its layers from the top to the base, and what has to be closed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from vmm.monitor.disk import Layer
from vmm.storage.files import ImageFile


@dataclass(slots=True)
class Level:
    """One image of a chain. `layer` is a view of it; `notes` are facts of the format, for `info`."""

    path: Path
    format: str
    layer: Layer
    size: int
    notes: dict[str, Any] = field(default_factory=dict)


class Extent(NamedTuple):
    """A piece of a disk that is alike: `depth` is the level that holds it, 0 for the top, None for none."""

    offset: int
    length: int
    depth: int | None


@dataclass(slots=True)
class Opened:
    """What a format makes of a file: its layer, the levels from it down, the files to close after it."""

    layer: Layer
    levels: list[Level]
    files: list[ImageFile]


class Image:
    """A disk image: reading and writing go to `layer`."""

    def __init__(self, opened: Opened) -> None:
        self.layer = opened.layer
        self.levels = opened.levels
        self._files = opened.files

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The file that was opened."""
        return self.levels[0].path

    @property
    def format(self) -> str:
        """Name of its format."""
        return self.levels[0].format

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        return self.layer.size

    @property
    def files(self) -> list[Path]:
        """Every file it uses, from the top down."""
        return [file.path for file in self._files]

    def close(self) -> None:
        """Flush and close everything; DiskError if the flush failed."""
        try:
            self.layer.close()
        finally:
            self.close_files()

    def close_files(self) -> None:
        """Close our descriptors, once the layer has a new owner."""
        for file in self._files:
            file.close()

    def map(self, offset: int = 0, end: int | None = None) -> Iterator[Extent]:
        """The extents of the disk in order, neighbours joined."""
        end = self.size if end is None else min(end, self.size)
        last: Extent | None = None
        while offset < end:
            length, depth = self._at(offset, end)
            if last and last.depth == depth:
                last = last._replace(length=last.length + length)
            else:
                if last:
                    yield last
                last = Extent(offset, length, depth)
            offset += length
        if last:
            yield last

    def _at(self, offset: int, end: int) -> tuple[int, int | None]:
        length = end - offset
        for depth, level in enumerate(self.levels):
            if offset >= level.layer.size:
                return length, None
            here = level.layer.map(offset)
            length = min(length, here.length)
            if here.allocated:
                return length, depth
        return length, None


@contextlib.contextmanager
def closing_on_error(*things: Any) -> Iterator[contextlib.ExitStack]:
    """A stack of callbacks that run only if the block fails."""
    with contextlib.ExitStack() as stack:
        for thing in things:
            stack.callback(thing.close)
        yield stack
        stack.pop_all()
