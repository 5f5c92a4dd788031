"""Image files: opened once, locked, read through checks; and new ones that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vmm.errors import HostError, ImageError, UsageError, one_line
from vmm.monitor.disk import DiskFile
from vmm.storage.locks import lock

SECTOR = 512


class ImageFile:
    """An open image. `size` is what the file has, not what the disk in it shows. Without a lock (`locked`
    False) it is only to be looked at: somebody may be changing it."""

    def __init__(self, path: Path, *, write: bool, locked: bool = True) -> None:
        self.path = path
        self.write = write
        self.locked = locked
        self.fd = _open(path, write=write)
        try:
            if locked:
                lock(self.fd, path, write=write)
            self.block_device = stat.S_ISBLK(os.fstat(self.fd).st_mode)
            self.size = os.lseek(self.fd, 0, os.SEEK_END)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close our descriptor; layers that use the file have their own. Again is nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def for_layer(self) -> DiskFile:
        """What a layer of the C side is made of."""
        return DiskFile(self.fd, not self.write, self.path.name)

    def error(self, reason: str, *, offset: int | None = None, remedy: str = "") -> ImageError:
        """Build (not raise) the error for this image."""
        return ImageError(self.path, reason, offset=offset, remedy=remedy)

    def read(self, offset: int, length: int, what: str) -> bytes:
        """Bytes that must all be there; ImageError naming `what` otherwise."""
        if not 0 <= offset <= self.size - length or length < 0:
            raise self.error(
                f"{what} needs {length} bytes here, but the file ends at {self.size:#x}",
                offset=offset,
                remedy="is the file truncated?",
            )
        data = os.pread(self.fd, length, offset)
        while len(data) < length:
            more = os.pread(self.fd, length - len(data), offset + len(data))
            if not more:
                raise self.error(f"{what}: the file shrinks while it is read", offset=offset)
            data += more
        return data

    def head(self, length: int) -> bytes:
        """Up to `length` bytes from the start."""
        return self.read(0, min(length, self.size), "the start")

    def unpack(self, layout: str, offset: int, what: str) -> tuple[Any, ...]:
        """Fields of the `struct` format `layout` at `offset`."""
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout), what))

    def put(self, offset: int, data: bytes) -> None:
        """Write metadata; HostError if the host cannot."""
        try:
            while data:
                done = os.pwrite(self.fd, data, offset)
                data, offset = data[done:], offset + done
        except OSError as error:
            raise HostError(one_line(f"{self.path}: cannot write: {error.strerror}")) from None
        self.size = max(self.size, offset)

    def truncate(self, size: int) -> None:
        """Cut the file, or make it longer by a hole; HostError if the host cannot."""
        try:
            os.ftruncate(self.fd, size)
        except OSError as error:
            raise HostError(one_line(f"{self.path}: cannot be resized: {error.strerror}")) from None
        self.size = size

    def sync(self) -> None:
        """Make what was put durable."""
        try:
            os.fsync(self.fd)
        except OSError as error:
            raise HostError(one_line(f"{self.path}: cannot write: {error.strerror}")) from None


def _open(path: Path, *, write: bool) -> int:
    mode = os.O_RDWR if write else os.O_RDONLY
    try:
        if write and stat.S_ISBLK(path.stat().st_mode):
            mode |= os.O_EXCL  # refused while it is mounted
        # Not blocking: opening a pipe must not wait for its other end.
        fd = os.open(path, mode | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ImageError(path, "there is no such file") from None
    except PermissionError:
        remedy = "open it read-only, or change the file's permissions" if write else ""
        raise ImageError(path, f"no permission to {'write' if write else 'read'} it", remedy=remedy) from None
    except OSError as error:
        if isinstance(error, BlockingIOError) or error.errno == 16:
            raise UsageError(one_line(f"{path}: the host has this device in use (mounted?)")) from None
        raise ImageError(path, f"cannot be opened: {error.strerror}") from None
    kind = os.fstat(fd).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISBLK(kind)):
        os.close(fd)
        raise ImageError(path, "is neither a file nor a block device")
    return fd


class NewFile:
    """A file being written beside its final place; `keep` renames it there."""

    def __init__(self, path: Path, *, force: bool) -> None:
        self.path = path
        self._force = force
        check_new(path, force=force)
        try:
            fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.absolute().parent)
        except OSError as error:
            raise HostError(one_line(f"{path}: cannot be made: {error.strerror}")) from None
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(fd, 0o666 & ~mask)
        os.close(fd)
        self.temporary = Path(name)

    def keep(self) -> None:
        """Make it durable and give it its name; UsageError if somebody took the name meanwhile."""
        try:
            with self.temporary.open("rb+") as file:
                os.fsync(file.fileno())
            if self._force:
                self.temporary.replace(self.path)
            else:
                os.link(self.temporary, self.path)
                self.temporary.unlink()
        except FileExistsError:
            raise exists(self.path) from None
        except OSError as error:
            raise HostError(one_line(f"{self.path}: cannot be made: {error.strerror}")) from None
        sync_folder(self.path)

    def drop(self) -> None:
        """Leave nothing."""
        self.temporary.unlink(missing_ok=True)


def check_new(path: Path, *, force: bool) -> None:
    """UsageError if a file cannot be made there, or exists and is not to be replaced."""
    if path.is_dir():
        raise UsageError(one_line(f"{path}: is a directory; give a file to write"))
    if path.exists() and not path.is_file():
        raise UsageError(one_line(f"{path}: is no plain file; only those are written anew"))
    if path.exists() and not force:
        raise exists(path)
    if not path.absolute().parent.is_dir():
        raise UsageError(one_line(f"{path}: the folder {path.absolute().parent} does not exist"))
    if path.exists():
        # An image in use is not pulled away from under its user.
        ImageFile(path, write=True).close()


def exists(path: Path) -> UsageError:
    """The error for a name that is taken."""
    return UsageError(one_line(f"{path}: exists; --force replaces it"))


@contextlib.contextmanager
def new_files() -> Iterator[list[NewFile]]:
    """A list to put NewFile into: all are kept, in order, if the block ends well, else all are dropped."""
    made: list[NewFile] = []
    try:
        yield made
        for file in made:
            file.keep()
    finally:
        for file in made:
            file.drop()


def sync_folder(path: Path) -> None:
    """Make the name of `path` durable."""
    fd = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # some file systems cannot
        os.fsync(fd)
    os.close(fd)
