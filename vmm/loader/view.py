"""A file as loaders see it: bytes that can only be read through checks, and errors that say where."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path
from typing import Any

from vmm.errors import ImageError

Buffer = bytes | memoryview | mmap
"""Content of guest memory: parts of large images are windows into them, not copies."""

MAX_IMAGE = 1 << 30
"""Files, and what they decompress to, are refused beyond this: no kernel is near it."""


class ImageView:
    """Read-only bytes of an image with the path they came from.

    `inside` names what the bytes are when they are not the file itself ("the gunzipped image"), so that an
    offset in a message is never mistaken for one in the file.
    """

    def __init__(self, path: Path, data: bytes | mmap, inside: str = "") -> None:
        self.path = path
        self.data = data
        self.inside = inside

    def __len__(self) -> int:
        return len(self.data)

    def error(self, reason: str, *, offset: int | None = None, remedy: str = "") -> ImageError:
        """Build (not raise) the error for this image."""
        where = f"{reason} (in {self.inside})" if self.inside else reason
        return ImageError(self.path, where, offset=offset, remedy=remedy)

    def bytes_at(self, offset: int, size: int, what: str) -> bytes:
        """`size` bytes from `offset`; ImageError naming `what` when they are not all there."""
        return bytes(self.window(offset, size, what))

    def window(self, offset: int, size: int, what: str) -> memoryview:
        """As `bytes_at`, without a copy: for what may have megabytes."""
        if offset < 0 or size < 0 or offset + size > len(self.data):
            raise self.error(
                f"{what} needs {size} bytes here, but the image ends at {len(self.data):#x}",
                offset=offset,
                remedy="is the file truncated?",
            )
        return memoryview(self.data)[offset : offset + size]

    def unpack(self, layout: str, offset: int, what: str) -> tuple[Any, ...]:
        """Fields of the `struct` format `layout` at `offset`; ImageError when it passes the end."""
        return struct.unpack(layout, self.bytes_at(offset, struct.calcsize(layout), what))

    def u16(self, offset: int, what: str) -> int:
        """Little-endian 16-bit field."""
        return int.from_bytes(self.bytes_at(offset, 2, what), "little")

    def u32(self, offset: int, what: str) -> int:
        """Little-endian 32-bit field."""
        return int.from_bytes(self.bytes_at(offset, 4, what), "little")

    def starts_with(self, magic: bytes, offset: int = 0) -> bool:
        """Whether `magic` stands at `offset`; False, not an error, past the end."""
        return self.data[offset : offset + len(magic)] == magic

    def find_aligned(self, magic: bytes, step: int, limit: int) -> Iterator[int]:
        """Offsets below `limit`, multiples of `step`, where `magic` stands whole."""
        at = self.data.find(magic, 0, limit)
        while at != -1:
            if at % step == 0:
                yield at
            at = self.data.find(magic, at + 1, limit)


def read_file(path: Path, what: str, limit: int = MAX_IMAGE) -> bytes:
    """Content of a regular, non-empty file of at most `limit` bytes; ImageError otherwise.

    `what` says what the file is for ("image", "initrd"). Devices and pipes are refused before they are
    opened: opening or reading one may never end.
    """
    try:
        info = path.stat()
        _check_kind(path, info, what, limit)
        with path.open("rb") as file:
            data = file.read(info.st_size + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(path, f"cannot read the {what}: {reason}") from None
    if len(data) != info.st_size:
        raise ImageError(path, f"the {what} changed its size while it was read", remedy="try again")
    return data


def _check_kind(path: Path, info: os.stat_result, what: str, limit: int) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise ImageError(path, f"the {what} is a directory", remedy="name a file inside it")
    if not stat.S_ISREG(info.st_mode):
        raise ImageError(path, f"the {what} is a device, pipe or socket", remedy="name a regular file")
    if info.st_size == 0:
        raise ImageError(path, f"the {what} is empty (0 bytes)", remedy="was it built completely?")
    if info.st_size > limit:
        raise ImageError(
            path, f"the {what} has {info.st_size} bytes, {limit} at most can be used", remedy=_TOO_LARGE
        )


_TOO_LARGE = (
    "give the guest more memory or name a smaller file (disk images need the SCSI adapter, not built)"
)
