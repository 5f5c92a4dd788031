"""A switch that processes share by name: where they meet, and who is in the middle.

In the folder of sockets, `NAME.lock` belongs to one of the processes on switch NAME: that one listens on
`NAME.sock` and joins all others' cables in its switch. When it goes, one of the others takes the lock, and
the rest connect to it. Cables are Unix stream sockets in QEMU's format, so a QEMU guest joins with `-netdev
stream,id=n,server=off,addr.type=unix,addr.path=…/NAME.sock`. Each is a trunk: VLANs keep their tags.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from vmm.errors import HostError, UsageError
from vmm.monitor.cables import TRUNK, Framing, SwitchHandle, SwitchJack, plug_fd

RETRY = 0.05
"""Seconds until another look for whoever is in the middle: who has the lock may not listen yet."""

_FIRST_TRIES = 40
_MAX_PATH = 107
_BACKLOG = 64


def folder() -> Path:
    """Where the sockets are: `$XDG_RUNTIME_DIR/vmm`, or `/tmp/vmm-UID` without one; made if need be, and
    nobody else's."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    path = Path(base) / "vmm" if base else Path(f"/tmp/vmm-{os.getuid()}")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of your own") from None
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise HostError(f"{path} is not a folder of your own; set XDG_RUNTIME_DIR to one")
    return path


class Meeting:
    """This process's part in switch `name`: a switch of its own whose uplinks lead to the others'."""

    def __init__(self, name: str) -> None:
        self.switch = SwitchHandle(0)
        self._socket_path = folder() / f"{name}.sock"
        if len(os.fsencode(self._socket_path)) > _MAX_PATH:
            raise UsageError(f"{self._socket_path}: too long for a socket; choose a shorter name")
        self._lock_path = folder() / f"{name}.lock"
        self._lock: int | None = None
        self._ended = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        # By descriptor (a duplicate of the cable's, to see the other end go): the port it is plugged into.
        self._ports: dict[int, int] = {}
        self._listener: socket.socket | None = None
        for _ in range(_FIRST_TRIES):
            if self._find_place() or self._wait(RETRY):
                break
        self._thread = threading.Thread(target=self._work, name=f"switch {name}", daemon=True)
        self._thread.start()

    @property
    def is_middle(self) -> bool:
        """Whether the others' cables lead to this process."""
        return self._listener is not None

    def close(self) -> None:
        """Leave; the others find somebody else."""
        self._ended.set()
        os.write(self._wake_write, b"x")
        self._thread.join()
        self.switch.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _work(self) -> None:
        while not self._ended.is_set():
            if not self._find_place():
                self._wait(RETRY)
                continue
            self._serve()
            # Whoever was in the middle may be full and turn us away each time.
            self._wait(RETRY)
        self._leave()

    def _wait(self, seconds: float) -> bool:
        return bool(select.select([self._wake_read], [], [], seconds)[0])

    def _find_place(self) -> bool:
        """Be in the middle, or connected to whoever is."""
        return bool(self._ports) or self.is_middle or self._take_middle() or self._connect()

    def _take_middle(self) -> bool:
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        # Left behind by whoever died with the lock.
        self._socket_path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._socket_path))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._lock, self._listener = lock, listener
        return True

    def _connect(self) -> bool:
        cable = socket.socket(socket.AF_UNIX)
        try:
            cable.connect(str(self._socket_path))
        except OSError:
            cable.close()
            return False
        return self._plug(cable)

    def _plug(self, cable: socket.socket) -> bool:
        watched = os.dup(cable.fileno())
        jack = SwitchJack(self.switch, TRUNK)
        try:
            self._ports[watched] = plug_fd(jack, cable.detach(), Framing.STREAM)
        except HostError:  # all ports taken: the caller is turned away
            os.close(watched)
            return False
        return True

    def _unplug(self, watched: int) -> None:
        self.switch.remove(self._ports.pop(watched))
        os.close(watched)

    def _serve(self) -> None:
        """Until there is nobody left to be connected to: take callers, drop those who hung up."""
        while not self._ended.is_set() and (self.is_middle or self._ports):
            poll = select.poll()
            poll.register(self._wake_read, select.POLLIN)
            for watched in self._ports:
                poll.register(watched, 0)  # hang-ups are reported unasked
            if self._listener is not None:
                poll.register(self._listener, select.POLLIN)
            for fd, _ in poll.poll():
                if fd in self._ports:
                    self._unplug(fd)
                elif self._listener is not None and fd == self._listener.fileno():
                    self._accept(self._listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            cable, _ = listener.accept()
        except OSError:  # the caller is gone again
            return
        self._plug(cable)

    def _leave(self) -> None:
        if self._listener is not None:
            # Before the lock goes: whoever has it next puts its own there.
            self._socket_path.unlink(missing_ok=True)
            self._listener.close()
        for watched in list(self._ports):
            self._unplug(watched)
        if self._lock is not None:
            os.close(self._lock)


# One part per switch and process, however many of its machines are on it.
_guard = threading.Lock()
_meetings: dict[str, tuple[Meeting, int]] = {}


def join(name: str) -> tuple[SwitchHandle, Callable[[], None]]:
    """This process's switch for `name`, and what to call when a NIC leaves it."""
    with _guard:
        meeting, users = _meetings.get(name) or (Meeting(name), 0)
        _meetings[name] = meeting, users + 1

    def leave() -> None:
        with _guard:
            left = _meetings[name][1] - 1
            _meetings[name] = meeting, left
            if not left:
                del _meetings[name]
        if not left:
            meeting.close()

    return meeting.switch, leave
