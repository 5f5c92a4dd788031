"""One image's contents into a new one: what the source does not hold, and zeros, take no space there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from vmm.monitor.disk import is_zero
from vmm.storage.create import new_disk
from vmm.storage.image import Image

CHUNK = 1 << 20
GRAIN = 1 << 16

Progress = Callable[[int, int], None]
"""Bytes done, bytes in all."""


class Converted(NamedTuple):
    """Bytes of the disk, and how many of them were written."""

    size: int
    written: int


def nothing(done: int, total: int) -> None:
    """Progress nobody looks at."""


def convert(
    source: Image,
    path: Path,
    kind: str,
    *,
    force: bool = False,
    preallocate: bool = False,
    progress: Progress = nothing,
) -> Converted:
    """Write the disk that `source` shows, all its layers seen from the top, to a new image."""
    written = 0
    with new_disk(path, source.size, kind, force=force, preallocate=preallocate) as sink:
        buffer = bytearray(CHUNK)
        for offset, length in _pieces(source):
            view = memoryview(buffer)[:length]
            source.layer.read_into(offset, view)
            for start, end in _filled(view):
                sink.write(offset + start, view[start:end])
                written += end - start
            progress(offset + length, source.size)
    return Converted(source.size, written)


def _pieces(source: Image) -> Iterator[tuple[int, int]]:
    """(offset, length) of all that the source may hold: whole grains, in order, none twice."""
    done = 0
    for extent in source.map():
        if extent.depth is None:
            continue
        start = max(done, extent.offset // GRAIN * GRAIN)
        done = min(source.size, -(-(extent.offset + extent.length) // GRAIN) * GRAIN)
        for offset in range(start, done, CHUNK):
            yield offset, min(CHUNK, done - offset)


def _filled(view: memoryview) -> Iterator[tuple[int, int]]:
    """Runs of grains that are not all zeros."""
    first: int | None = None
    for start in range(0, len(view), GRAIN):
        if is_zero(view[start : start + GRAIN]):
            if first is not None:
                yield first, start
            first = None
        elif first is None:
            first = start
    if first is not None:
        yield first, len(view)
