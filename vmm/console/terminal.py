"""The user's terminal joined to a serial port: raw while joined, always restored.

Works on any file descriptors: where input is no terminal it is read as it comes, to its end.
"""

from __future__ import annotations

import atexit
import os
import select
import termios
import threading
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

LEAVE = 0x1D
"""Ctrl-]"""
_CHUNK = 4096


class Terminal:
    """Reads one descriptor on a thread of its own while the context lasts.

    `on_input` gets bytes, `on_leave` is called once when the user leaves or a terminal hangs up; both on the
    reader's thread.
    """

    def __init__(self, fd: int, on_input: Callable[[bytes], None], on_leave: Callable[[], None]) -> None:
        self._fd = fd
        self._on_input = on_input
        self._on_leave = on_leave
        self._saved: list[Any] | None = None
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._activity = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self.is_terminal = os.isatty(fd)

    def __enter__(self) -> Self:
        if self.is_terminal:
            self._saved = termios.tcgetattr(self._fd)
            # For an exit that unwinds nothing.
            atexit.register(self.restore)
            tty.setraw(self._fd)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            os.write(self._wake_write, b"x")
            self._thread.join()
        finally:
            self.restore()
            atexit.unregister(self.restore)
            os.close(self._wake_read)
            os.close(self._wake_write)

    def restore(self) -> None:
        """Give the terminal back as it was; again is nothing."""
        saved, self._saved = self._saved, None
        if saved is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, saved)

    def wait(self, seconds: float) -> bool:
        """Wait for input, at most so long; False once there will be no more."""
        if not self._activity.is_set() and not self._thread.is_alive():
            return False
        self._activity.wait(seconds)
        self._activity.clear()
        return True

    def _read(self) -> None:
        while data := self._next():
            end = data.find(LEAVE) if self.is_terminal else -1
            if end >= 0:
                data = data[:end]
            if data:
                self._on_input(data)
                self._activity.set()
            if end >= 0:
                break
        else:
            if not self.is_terminal or self._woken():
                return
        self._on_leave()
        self._activity.set()

    def _next(self) -> bytes:
        """More input; empty at its end or when the context ends."""
        ready, _, _ = select.select([self._fd, self._wake_read], [], [])
        if self._wake_read in ready:
            return b""
        try:
            return os.read(self._fd, _CHUNK)
        except OSError:
            # A terminal whose other end is gone.
            return b""

    def _woken(self) -> bool:
        return bool(select.select([self._wake_read], [], [], 0)[0])
