"""What goes into a guest, at the pace its hardware could have sent it.

Everything waits here until the thread that runs the VM takes it (`pump`): senders on other threads never ask
the VM for its time, and two runs with the same input get it at the same VM times.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from vmm.monitor.check import InboxFull

AHEAD_NS = 1_000_000_000
"""How far ahead of VM time messages are posted; the rest waits, so that the inbox has room for others."""


class PacedInput:
    """Messages for one device in order, each delivered no sooner than its predecessor's `busy` time later."""

    def __init__(self, post: Callable[[bytes, int], None], wake: Callable[[], None]) -> None:
        self._post = post
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: deque[tuple[bytes, int, int]] = deque()
        self._free_at = 0

    def add(self, message: bytes, busy_ns: int, pause_ns: int = 0) -> None:
        """Queue a message that keeps the line busy for `busy_ns`, `pause_ns` after the one before."""
        with self._lock:
            self._waiting.append((message, busy_ns, pause_ns))
        self._wake()

    def pump(self, now: int) -> None:
        """Post what is due soon; VM time is `now`."""
        with self._lock:
            while self._waiting:
                message, busy, pause = self._waiting[0]
                when = max(self._free_at, now) + pause
                if when > now + AHEAD_NS and pause == 0:
                    return
                try:
                    self._post(message, when)
                except InboxFull:
                    return
                self._free_at = when + busy
                self._waiting.popleft()
