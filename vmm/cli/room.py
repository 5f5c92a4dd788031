"""Watches for a VM that waits because the host's disk is full: says so, and lets signals end it.

While the VM waits, the main thread is inside the monitor and Python calls no signal handler; this thread sees
the signal by the file descriptor that the interpreter writes to, and ends the waiting.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vmm.cli.streams import tell
from vmm.errors import one_line
from vmm.machine import Machine

_POLL = 0.2


@contextmanager
def room_watched(machine: Machine) -> Iterator[None]:
    """While the block, in the main thread, runs the machine."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(machine, reader, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        ended.set()
        os.write(writer, b"\0")
        thread.join()
        os.close(reader)
        os.close(writer)


def _watch(machine: Machine, reader: int, ended: threading.Event) -> None:
    told, signalled = False, False
    while not ended.is_set():
        if select.select([reader], [], [], _POLL)[0]:
            signalled = bool(os.read(reader, 64))
        waiting = machine.waits_for_room
        if waiting and signalled and not ended.is_set():
            machine.stop()
        if waiting and not told:
            tell(one_line(f"vmm: {waiting[0]}: the host's disk is full; the VM waits until there is room"))
        told = bool(waiting)
