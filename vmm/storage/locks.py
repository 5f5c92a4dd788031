"""Locks on image files, so that nobody writes what another reads or writes; QEMU's tools see them too.

The scheme is that of QEMU's file-posix driver: for each right it uses, a user holds a shared lock on byte
100 + right, and for each right it cannot bear in others on byte 200 + right; then it looks whether anybody
holds a byte that speaks against it. They are locks of the open file description: they live as long as any
duplicate of the descriptor, and end with the process whatever becomes of it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from vmm.errors import UsageError, one_line

_READ, _WRITE, _RESIZE = 0, 1, 3
_USED, _REFUSED = 100, 200

# struct flock: type, whence, start, length, pid. Python's fcntl has no names for the commands.
_FLOCK = "hhqqi4x"
_OFD_GETLK, _OFD_SETLK = 36, 37
_CANNOT = frozenset({errno.ENOLCK, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})


def lock(fd: int, path: Path, *, write: bool) -> None:
    """Lock an image that is opened to be written, or read while nobody writes; UsageError if it is in use."""
    uses = (_READ, _WRITE, _RESIZE) if write else (_READ,)
    refuses = (_WRITE, _RESIZE)
    try:
        for byte in (*(_USED + right for right in uses), *(_REFUSED + right for right in refuses)):
            _set(fd, byte)
        if any(_taken(fd, _REFUSED + right) for right in uses) or any(
            _taken(fd, _USED + right) for right in refuses
        ):
            raise in_use(fd, path, write=write)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise in_use(fd, path, write=write) from None


def in_use(fd: int, path: Path, *, write: bool) -> UsageError:
    """The error for an image somebody else has: with the processes that have it open, if they can be seen."""
    holders = _holders(fd)
    by = f" by {', '.join(holders)}" if holders else ""
    want = "written" if write else "read"
    return UsageError(one_line(f"{path}: the disk is in use{by}; it cannot be {want} at the same time"))


def _set(fd: int, byte: int) -> None:
    fcntl.fcntl(fd, _OFD_SETLK, struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))


def _taken(fd: int, byte: int) -> bool:
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    answer = struct.unpack(_FLOCK, fcntl.fcntl(fd, _OFD_GETLK, asked))
    return bool(answer[0] != fcntl.F_UNLCK)


def _holders(fd: int) -> list[str]:
    """Processes that have the file of `fd` open besides by `fd`, as far as we may look."""
    mine = os.fstat(fd)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        own = int(process.name) == os.getpid()
        if _opens(process, (mine.st_dev, mine.st_ino), fd if own else -1):
            found.append("this process" if own else f"{_command(process)} (pid {process.name})")
    return found


def _opens(process: Path, file: tuple[int, int], but: int) -> bool:
    try:
        for link in (process / "fd").iterdir():
            if link.name == str(but):
                continue
            try:
                there = link.stat()
            except OSError:
                continue
            if (there.st_dev, there.st_ino) == file:
                return True
    except OSError:
        pass
    return False


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"
