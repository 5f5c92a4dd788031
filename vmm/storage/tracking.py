"""Changed-block tracking: which blocks of a disk changed since a moment in its past.

A tracked disk `web.vmdk` has a table beside it, `web.vmdk.ctk`: for each block the epoch in which it last
changed. A change ID names the table's life and an epoch, `3f…/7`: the blocks whose epoch is later have
changed since. While the disk is open for writing the table is only in memory and the file says so; if that
never ends well (power lost, process killed), what changed is unknown, and all IDs given out before are void:
the table gets another life.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import struct
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vmm.errors import HostError, ImageError, UsageError, one_line
from vmm.monitor.disk import ChangeTable
from vmm.storage.chain import open_image
from vmm.storage.files import NewFile, new_files, sync_folder
from vmm.storage.image import Image

MAGIC = b"VMMCTK01"
_HEADER = "<8s16sQQII16x"
_SIZE = struct.calcsize(_HEADER)
_BLOCK, _MAX_BLOCKS = 1 << 16, 1 << 20
_ID = re.compile(r"([0-9a-f]{32})/([0-9]{1,9})")
_EPOCH_MAX = 2**32 - 2


class _Table(NamedTuple):
    life: bytes
    block_size: int
    size: int
    epoch: int
    open: int
    epochs: bytes

    @property
    def blocks(self) -> int:
        return -(-self.size // self.block_size)

    def pack(self) -> bytes:
        return struct.pack(_HEADER, MAGIC, *self[:5]) + self.epochs


class Area(NamedTuple):
    """Bytes that changed."""

    offset: int
    length: int


def table_path(disk: Path) -> Path:
    """Where the table of a disk is."""
    return disk.with_name(disk.name + ".ctk")


def is_tracked(disk: Path) -> bool:
    """Whether the disk has a table."""
    return table_path(disk).exists()


def enable(disk: Path) -> str:
    """Begin to track; returns the change ID of now. What was tracked before is void."""
    with open_image(disk) as image:
        size = image.size
    table = _fresh(size)
    _store(disk, table)
    return _id(table, table.epoch - 1)


def disable(disk: Path) -> None:
    """Stop tracking; again is nothing."""
    path = table_path(disk)
    if path.exists():
        path.unlink()
        sync_folder(path)


def hand_on(disk: Path, other: Path) -> None:
    """The table of `disk`, if it has one, is that of `other` from now on: the two show the same."""
    if is_tracked(disk):
        table_path(disk).replace(table_path(other))
        sync_folder(other)


def checkpoint(disk: Path) -> str:
    """A change ID for the disk as it is now; nobody may have it open for writing."""
    open_image(disk, write=False).close()
    table = _usable(disk)
    _store(disk, table._replace(epoch=_next(table.epoch, disk)))
    return _id(table, table.epoch)


def changed(disk: Path, since: str) -> list[Area]:
    """What changed after the change ID `since` was given out; UsageError if that cannot be said."""
    match = _ID.fullmatch(since)
    if not match:
        raise UsageError(one_line(f"'{since}' is no change ID; vmm disk track prints them"))
    table = _load(disk)
    if table.open or match[1] != table.life.hex() or int(match[2]) >= table.epoch:
        raise UsageError(
            one_line(f"{disk}: what changed since {since} is not known (any more); take the whole disk")
        )
    return list(_areas(table, int(match[2])))


def _areas(table: _Table, since: int) -> Iterator[Area]:
    start: int | None = None
    epochs = array("I", table.epochs)
    if sys.byteorder == "big":
        epochs.byteswap()
    for block, epoch in enumerate((*epochs, 0)):
        if epoch > since and start is None:
            start = block * table.block_size
        elif epoch <= since and start is not None:
            yield Area(start, min(block * table.block_size, table.size) - start)
            start = None


@contextlib.contextmanager
def tracked(disk: Path, image: Image) -> Iterator[None]:
    """While `image`, the disk opened for writing, is used, its changes are noted if it is tracked. The block
    must flush or close the image before it ends."""
    if not is_tracked(disk) or image.layer.readonly:
        yield
        return
    table = begin(disk, image)
    yield
    end(disk, table)


def begin(disk: Path, image: Image) -> ChangeTable:
    """Note the changes to `image` from now on; `end` must follow when it is closed."""
    table = _usable(disk, image.size)
    _store(disk, table._replace(open=1))
    memory = ChangeTable(table.blocks, table.block_size, table.epoch, table.epochs)
    image.layer = memory.layer(image.layer)
    return memory


def end(disk: Path, memory: ChangeTable) -> None:
    """The image is closed and all its data durable: so is its table now."""
    _store(disk, _load(disk)._replace(open=0, epoch=memory.epoch, epochs=memory.data()))


def _usable(disk: Path, size: int | None = None) -> _Table:
    """The table; another life of it if the disk was not closed, or has another size now."""
    table = _load(disk)
    if size is None:
        with open_image(disk) as image:
            size = image.size
    return table if not table.open and table.size == size else _fresh(size)


def _fresh(size: int) -> _Table:
    block = _BLOCK
    while size > block * _MAX_BLOCKS:
        block *= 2
    return _Table(secrets.token_bytes(16), block, size, 1, 0, bytes(4 * -(-size // block)))


def _next(epoch: int, disk: Path) -> int:
    if epoch >= _EPOCH_MAX:
        raise HostError(one_line(f"{disk}: its change tracking has counted to its end; begin it anew"))
    return epoch + 1


def _id(table: _Table, epoch: int) -> str:
    return f"{table.life.hex()}/{epoch}"


def _load(disk: Path) -> _Table:
    path = table_path(disk)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(one_line(f"{disk}: is not tracked; vmm disk track {disk} begins it")) from None
    except OSError as error:
        raise HostError(one_line(f"{path}: cannot be read: {error.strerror}")) from None
    if len(data) < _SIZE or not data.startswith(MAGIC):
        raise ImageError(path, "is no table of changed blocks", remedy="delete it and begin anew")
    _, life, block, size, epoch, is_open = struct.unpack_from(_HEADER, data)
    if block < 512 or len(data) != _SIZE + 4 * -(-size // block):
        raise ImageError(path, "is damaged", remedy="delete it and begin anew")
    return _Table(life, block, size, epoch, is_open, data[_SIZE:])


def _store(disk: Path, table: _Table) -> None:
    """Replaced as a whole: there is always one that is complete."""
    with new_files() as made:
        made.append(NewFile(table_path(disk), force=True))
        made[0].temporary.write_bytes(table.pack())
