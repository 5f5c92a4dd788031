"""Every exception the project raises on purpose, and the exit code each one becomes.

    VmmError
     ├─ UsageError        2    the request cannot be met as written
     ├─ ImageError        2    a file is not what it claims to be, or does not fit this machine
     ├─ GuestDied       125    the guest stopped in a way it cannot come back from
     └─ HostError        70    our own side failed
         └─ EngineMismatch     the engine is not the build this project was made for

A message is one line that a user can act on: what, where, why, and the remedy where there is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


def one_line(text: str) -> str:
    """Make `text` safe to print as one line: file names may hold newlines and escape codes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class VmmError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 70


class UsageError(VmmError):
    """The request is wrong or cannot be combined that way; nothing was started."""

    exit_code = 2


class ImageError(VmmError):
    """A file that cannot be booted or read: `path: offset 0x…: reason; remedy`.

    `offset` counts bytes from the start of the file, or of the decompressed image when `reason` says so.
    """

    exit_code = 2

    def __init__(self, path: Path, reason: str, *, offset: int | None = None, remedy: str = "") -> None:
        self.path = path
        self.offset = offset
        self.reason = reason
        self.remedy = remedy
        place = f": offset {offset:#x}" if offset is not None else ""
        tail = f"; {remedy}" if remedy else ""
        super().__init__(one_line(f"{path}{place}: {reason}{tail}"))

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, and pytest-xdist pickles exceptions.
        return _rebuild_image_error, (self.path, self.reason, self.offset, self.remedy)


def _rebuild_image_error(path: Path, reason: str, offset: int | None, remedy: str) -> ImageError:
    return ImageError(path, reason, offset=offset, remedy=remedy)


class GuestDied(VmmError):  # noqa: N818 (the sentence it states)
    """The guest cannot continue: triple fault, halted for ever, jump into nothing."""

    exit_code = 125


class HostError(VmmError):
    """Something on our side failed: out of memory, a system call, a broken invariant."""

    exit_code = 70


class EngineMismatch(HostError):  # noqa: N818
    """The loaded engine is not the version whose private layout this build knows."""
