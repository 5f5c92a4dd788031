"""Where a run's bytes and lines go: stdout, files, stderr."""

from __future__ import annotations

import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vmm.errors import HostError, UsageError, one_line

STDOUT = Path("-")


@contextmanager
def byte_sink(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    """A function that writes bytes at once to `path`, or to stdout if that is None or `-`.

    UsageError if the file cannot be made, HostError if it cannot be written.
    """
    if path is None or path == STDOUT:
        yield _write_stdout
        return
    try:
        stream = path.open("wb", buffering=0)
    except OSError as error:
        raise UsageError(one_line(f"{path}: cannot write there: {error.strerror}")) from None

    def write(data: bytes) -> None:
        try:
            stream.write(data)
        except OSError as error:
            raise HostError(one_line(f"{path}: cannot write: {error.strerror}")) from None

    with stream:
        yield write


class ReaderGone(Exception):  # noqa: N818 (what happened; nobody is at fault)
    """Whoever read stdout has closed it. Not BrokenPipeError: typer would make its own exit code of that."""


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def check_target(path: Path | None) -> None:
    """UsageError if a file cannot be made at `path`: found out before a long run and not after it."""
    if path is None or path == STDOUT:
        return
    if path.is_dir():
        raise UsageError(one_line(f"{path}: is a directory; give a file to write"))
    if not path.absolute().parent.is_dir():
        raise UsageError(one_line(f"{path}: the folder {path.absolute().parent} does not exist"))


def write_text(path: Path, text: str) -> None:
    """Write to a file, or to stdout for `-`; HostError if it cannot be written."""
    if path == STDOUT:
        _write_stdout(text.encode("utf-8"))
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HostError(one_line(f"{path}: cannot write: {error.strerror}")) from None


def tell(line: str) -> None:
    """A line for the user, on stderr."""
    sys.stderr.write(line + ("\r\n" if _is_raw(sys.stderr) else "\n"))
    sys.stderr.flush()


def _is_raw(stream: TextIO) -> bool:
    """Whether a terminal makes no line ends of newlines: the console has it."""
    return stream.isatty() and not termios.tcgetattr(stream)[1] & termios.OPOST
