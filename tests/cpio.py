"""Writer of "newc" cpio archives, the format Linux unpacks an initramfs from
(Documentation/driver-api/early-userspace).

Deterministic: entries sorted, inode numbers counted, every time zero, everything owned by root.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_TRAILER = "TRAILER!!!"
_ALIGN = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive: `mode` as in stat, contents (a symlink's target), device numbers of a node."""

    mode: int
    data: bytes = b""
    major: int = 0
    minor: int = 0


def file(data: bytes, permissions: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(stat.S_IFREG | permissions, data)


def directory() -> Entry:
    """A directory; `archive` adds the parents of every entry by itself."""
    return Entry(stat.S_IFDIR | 0o755)


def symlink(target: str) -> Entry:
    """A symbolic link to `target`."""
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def character_device(major: int, minor: int) -> Entry:
    """A character device node."""
    return Entry(stat.S_IFCHR | 0o600, b"", major, minor)


def archive(entries: Mapping[str, Entry]) -> bytes:
    """Bytes of an archive of `entries`, by path without a leading slash."""
    parents = {str(parent): directory() for path in entries for parent in PurePosixPath(path).parents}
    parents.pop(".", None)
    # Sorted order puts a directory before what is in it, as the kernel needs.
    full = sorted({**parents, **entries}.items())
    body = b"".join(_record(inode, path, entry) for inode, (path, entry) in enumerate(full, start=1))
    return body + _record(0, _TRAILER, Entry(0))


def _record(inode: int, path: str, entry: Entry) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        *(inode, entry.mode, 0, 0, links, 0, len(entry.data)),
        *(0, 0, entry.major, entry.minor, len(name), 0),
    )
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)
