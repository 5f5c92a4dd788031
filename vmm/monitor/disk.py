"""Layers of a disk image on the C side: makers, and the calls that move bytes.

A layer owns those it was made of; only the top one is used and closed. Failures are `DiskError`, whose
`status` says which kind a guest would see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from types import TracebackType
from typing import Any, NamedTuple, Self

from vmm.errors import HostError, one_line
from vmm.monitor.backend import Backend
from vmm.monitor.library import ffi, lib, text_of

_ERROR = 160
_LABEL = 63


class DiskStatus(IntEnum):
    """How a request failed: `enum blk_status`."""

    OK = 0
    EIO = 1
    ENOSPC = 2
    READONLY = 3
    CANCELLED = 4


class DiskError(HostError):
    """A disk image could not be read or written as asked."""

    def __init__(self, message: str, status: DiskStatus = DiskStatus.EIO) -> None:
        self.status = status
        super().__init__(one_line(message))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.status)


class DiskFile(NamedTuple):
    """An open file; `label` is what messages call it, `probed` a raw image that nobody said is one. The layer
    keeps a duplicate of the descriptor."""

    fd: int
    readonly: bool
    label: str
    probed: bool = False


class SparseLayout(NamedTuple):
    """Where a hosted sparse extent of VMDK has what; offsets and sizes in bytes."""

    capacity: int
    grain: int
    gd_offset: int
    rgd_offset: int
    gt_entries: int
    zero_grains: bool
    compressed: bool
    unclean_at: int


class Qcow2Layout(NamedTuple):
    """Where a qcow2 image has what."""

    capacity: int
    l1_offset: int
    l1_entries: int
    cluster_bits: int


class Mapped(NamedTuple):
    """How far from an offset on a layer itself holds the data (`allocated`), or does not."""

    length: int
    allocated: bool


class Layer(Backend):
    """A stack of layers, seen from its top."""

    def __init__(self, handle: Any, *keep: Any) -> None:
        super().__init__(handle)
        self._kept: list[Any] = list(keep)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Bytes, a multiple of 512."""
        return int(lib.vmk_disk_size(self.handle))

    @property
    def readonly(self) -> bool:
        """Whether it refuses to be written."""
        return bool(lib.vmk_disk_readonly(self.handle))

    @property
    def handle(self) -> Any:
        """The C side's `struct blk_backend *`."""
        if self._handle is None:
            raise HostError("the disk image is closed")
        return self._handle

    def view(self) -> Layer:
        """Another way to the same layer, for as long as it lives: closing the view does nothing to it."""
        return _View(self.handle)

    def release(self) -> tuple[Any, list[Any]]:
        """Give the C layer away, with the memory that it uses and its new owner keeps alive."""
        handle, self._handle = self.handle, None
        return handle, self._kept

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, both whole sectors."""
        buffer = ffi.new("char[]", max(length, 1))
        _call(lib.vmk_disk_read, self.handle, offset, buffer, length)
        return bytes(ffi.buffer(buffer, length))

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> None:
        """Fill `buffer` from `offset`."""
        _call(
            lib.vmk_disk_read,
            self.handle,
            offset,
            ffi.from_buffer(buffer, require_writable=True),
            len(buffer),
        )

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write whole sectors at `offset`."""
        _call(lib.vmk_disk_write, self.handle, offset, ffi.from_buffer(data), len(data))

    def write_zeroes(self, offset: int, length: int) -> None:
        """Make a range read as zeros, without space for it where the format can."""
        _call(lib.vmk_disk_write_zeroes, self.handle, offset, length)

    def discard(self, offset: int, length: int) -> None:
        """Give a range back; it reads as zeros if the format says so."""
        _call(lib.vmk_disk_discard, self.handle, offset, length)

    def flush(self) -> None:
        """Make all that was written durable."""
        _call(lib.vmk_disk_flush, self.handle)

    def map(self, offset: int) -> Mapped:
        """The extent of the top layer that starts at `offset`; its length may reach behind the disk."""
        length, allocated = ffi.new("uint64_t *"), ffi.new("bool *")
        _call(lib.vmk_disk_map, self.handle, offset, length, allocated)
        return Mapped(int(length[0]), bool(allocated[0]))

    def close(self) -> None:
        """Flush and close; DiskError if the flush failed. Again is nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            _call(lib.vmk_disk_close, handle)
        self._kept.clear()


class _View(Layer):
    def close(self) -> None:
        self._handle = None


def raw_layer(file: DiskFile, offset: int, size: int) -> Layer:
    """A window of a file."""
    return _make(lib.vmk_disk_raw, _file(file), offset, size)


def zero_layer(size: int) -> Layer:
    """Nothing but zeros, read-only."""
    return _make(lib.vmk_disk_zero, size)


def sparse_layer(
    file: DiskFile, layout: SparseLayout, parent: Layer | None = None, *, at: int = 0, shared: bool = False
) -> Layer:
    """A sparse extent over `parent`, whose place in it is `at`; `shared`: another extent owns the parent."""
    raw = ffi.new("struct vmk_disk_sparse *", layout._asdict())
    raw.parent_offset, raw.parent_shared = at, shared
    return _over(lib.vmk_disk_sparse, parent, _file(file), raw, take=not shared)


def qcow2_layer(file: DiskFile, layout: Qcow2Layout, parent: Layer | None = None) -> Layer:
    """A qcow2 image over its backing file."""
    return _over(
        lib.vmk_disk_qcow2, parent, _file(file), ffi.new("struct vmk_disk_qcow2 *", layout._asdict())
    )


def concat_layer(parts: Sequence[Layer]) -> Layer:
    """One disk of several, which it takes over."""
    handles = ffi.new("struct blk_backend *[]", [part.handle for part in parts])
    made = _make(lib.vmk_disk_concat, handles, len(parts))
    for part in parts:
        made._kept += part.release()[1]
    return made


def stamp_layer(lower: Layer, file: DiskFile, offset: int, stamp: bytes) -> Layer:
    """`lower`, with `stamp` written at `offset` of `file` before the first change."""
    made = _make(lib.vmk_disk_stamp, lower.handle, _file(file), offset, stamp, len(stamp))
    made._kept += lower.release()[1]
    return made


class ChangeTable:
    """Which epoch each block of a disk changed in last; the C side writes into it while a disk is open."""

    def __init__(self, blocks: int, block_size: int, epoch: int, data: bytes = b"") -> None:
        self.block_size, self.blocks = block_size, blocks
        self._epochs = ffi.new("uint32_t[]", max(blocks, 1))
        self._epoch = ffi.new("uint32_t *", epoch)
        ffi.memmove(self._epochs, data, min(len(data), 4 * blocks))

    @property
    def epoch(self) -> int:
        """What blocks that change now are marked with."""
        return int(self._epoch[0])

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch[0] = epoch

    def data(self) -> bytes:
        """The epochs as they are now, 32-bit little-endian numbers."""
        return bytes(ffi.buffer(self._epochs, 4 * self.blocks))

    def layer(self, lower: Layer) -> Layer:
        """`lower`, with its changes noted here."""
        made = _make(
            lib.vmk_disk_track, lower.handle, self._epochs, self.blocks, self.block_size, self._epoch
        )
        made._kept += [self, *lower.release()[1]]
        return made


class Patience:
    """Of a disk whose requests wait, and the VM with them, while the host's disk is full."""

    def __init__(self) -> None:
        self._raw = ffi.new("struct vmk_disk_patience *")

    @property
    def waiting(self) -> bool:
        """Whether a request waits now."""
        return bool(self._raw.waiting)

    def end(self) -> None:
        """From now on such requests fail, those that wait too; from any thread."""
        self._raw.ended = 1

    def renew(self) -> None:
        """Let them wait again."""
        self._raw.ended = 0

    def layer(self, lower: Layer) -> Layer:
        """`lower`, with this patience."""
        made = _make(lib.vmk_disk_patient, lower.handle, self._raw)
        made._kept += [self, *lower.release()[1]]
        return made


def is_zero(data: bytes | bytearray | memoryview) -> bool:
    """Whether all bytes are zero."""
    return bool(lib.vmk_disk_is_zero(ffi.from_buffer(data), len(data)))


def _file(file: DiskFile) -> Any:
    label = file.label.encode("utf-8", "replace")[-_LABEL:]
    raw = ffi.new("struct vmk_disk_file *")
    raw.fd, raw.readonly, raw.probed = file.fd, file.readonly, file.probed
    ffi.memmove(raw.label, label, len(label))
    return raw


def _over(maker: Any, parent: Layer | None, *arguments: Any, take: bool = True) -> Layer:
    """A layer over `parent`, which it takes over if it can be made."""
    made = _make(maker, *arguments, parent.handle if parent else ffi.NULL)
    if parent and take:
        made._kept += parent.release()[1]
    return made


def _make(maker: Callable[..., Any], *arguments: Any) -> Layer:
    error = ffi.new("char[]", _ERROR)
    handle = maker(*arguments, error)
    if not handle:
        raise DiskError(text_of(error))
    return Layer(handle)


def _call(function: Callable[..., int], *arguments: Any) -> None:
    error = ffi.new("char[]", _ERROR)
    status = function(*arguments, error)
    if status:
        raise DiskError(text_of(error) or "the disk image failed", DiskStatus(status))
