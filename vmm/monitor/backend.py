"""Backends of disks: the C side of a file format or of memory, made here and then attached to a VM."""

from __future__ import annotations

from typing import Any

from vmm.errors import HostError, UsageError, one_line
from vmm.monitor.library import ffi, lib, text_of

_ERROR_TEXT = 256


class Backend:
    """A disk's backend that no VM has yet. `keep` is what it points to and must outlive it."""

    def __init__(self, handle: Any, keep: object = None) -> None:
        self._handle = handle
        self._keep = keep

    @property
    def handle(self) -> Any:
        """The C object; HostError once it was attached or closed."""
        if not self._handle:
            raise HostError("the disk's backend was attached or closed before")
        return self._handle

    @property
    def size(self) -> int:
        """Bytes."""
        return int(lib.vmk_backend_size(self.handle))

    def release(self) -> object:
        """A VM has taken it over; what must be kept for it."""
        self._handle = None
        return self._keep

    def close(self) -> None:
        """Give it up unless a VM has it; again is nothing."""
        handle, self._handle = self._handle, None
        if handle:
            lib.vmk_backend_close(handle)


def ram_backend(source: int | Any, *, readonly: bool = False) -> Backend:
    """A disk in memory: of so many zeroes, or in a writable buffer (a bytearray, a mapped file)."""
    error = ffi.new("char[]", _ERROR_TEXT)
    keep: Any = ffi.NULL
    if not isinstance(source, int):
        keep = ffi.from_buffer(source, require_writable=not readonly)
    size = source if isinstance(source, int) else len(keep)
    handle = lib.vmk_backend_ram(keep, size, readonly, error, _ERROR_TEXT)
    if not handle:
        raise UsageError(one_line(text_of(error)))
    return Backend(handle, keep)
