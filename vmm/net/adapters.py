"""From what a user wrote to cables: plugs a machine's adapters in, and takes back what outlives the VM."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from vmm.errors import UsageError
from vmm.monitor import Monitor
from vmm.monitor.cables import (
    Framing,
    Jack,
    NicJack,
    SwitchJack,
    capture,
    impair,
    plug_fd,
    plug_python,
    plug_switch,
    set_outside,
)
from vmm.net.boot_server import BootServer
from vmm.net.spec import NicSpec


class Adapters:
    """The cables of one machine. Closed after the VM: a cable's far end must not go first."""

    def __init__(self, monitor: Monitor, specs: Sequence[NicSpec]) -> None:
        self._stack = ExitStack()
        try:
            for number, spec in enumerate(specs):
                jack = NicJack(monitor, number)
                _plug(self._stack, jack, spec)
                _prepare_line(jack, spec)
        except BaseException:
            self._stack.close()
            raise
        set_outside(monitor, any(spec.is_outside for spec in specs))

    def close(self) -> None:
        """Let go of sockets and shared switches; again is nothing."""
        self._stack.close()


def plug_uplink(stack: ExitStack, jack: SwitchJack, spec: NicSpec) -> None:
    """Lead a new port of a switch to what `spec` names; what must be taken back later goes on `stack`."""
    if spec.kind not in _PLUGS:
        raise UsageError(f"an uplink of a switch cannot be {spec.kind}; it can be {', '.join(_PLUGS)}")
    if spec.pcap or spec.rom or spec.mac or spec.is_bad_line:
        raise UsageError("an uplink of a switch has no mac=, rom=, pcap= and no bad line: these are a NIC's")
    _PLUGS[spec.kind](stack, jack, spec)


def _plug(stack: ExitStack, jack: NicJack, spec: NicSpec) -> None:
    if spec.kind == "switch":
        _plug_switch(stack, jack, spec)
    elif spec.kind != "none":  # an adapter without a cable, its link down
        _PLUGS[spec.kind](stack, jack, spec)


def _prepare_line(jack: NicJack, spec: NicSpec) -> None:
    if spec.is_bad_line:
        impair(jack, seed=spec.seed, loss=spec.loss, corrupt=spec.corrupt, delay=spec.delay)
    if spec.pcap is None:
        return
    try:
        fd = os.open(spec.pcap, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UsageError(f"pcap={spec.pcap}: {error.strerror}") from None
    capture(jack, fd, f"nic{jack.nic}")


def _plug_user(_stack: ExitStack, jack: Jack, spec: NicSpec) -> None:
    from vmm.net.slirp import plug_user_network  # noqa: PLC0415 (ctypes is slow to load)

    plug_user_network(jack, spec.forwards)


def _plug_switch(stack: ExitStack, jack: NicJack, spec: NicSpec) -> None:
    if spec.switch is not None:
        plug_switch(jack, spec.switch.handle, spec.vlan)
        return
    from vmm.net.meeting import join  # noqa: PLC0415 (threads and sockets, for those who need them)

    switch, leave = join(spec.target)
    stack.callback(leave)
    plug_switch(jack, switch, spec.vlan)


def _plug_tap(_stack: ExitStack, jack: Jack, spec: NicSpec) -> None:
    from vmm.net.tap import open_tap  # noqa: PLC0415

    plug_fd(jack, open_tap(spec.target), Framing.TAP)


def _plug_stream(_stack: ExitStack, jack: Jack, spec: NicSpec) -> None:
    cable = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _connect(cable, spec.target, f"stream:{spec.target}")
    plug_fd(jack, cable.detach(), Framing.STREAM)


def _plug_dgram(stack: ExitStack, jack: Jack, spec: NicSpec) -> None:
    cable = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        cable.bind(spec.target)
    except OSError as error:
        cable.close()
        raise UsageError(f"dgram:{spec.target}: {error.strerror or error}; remove a stale socket") from None
    stack.callback(lambda: Path(spec.target).unlink(missing_ok=True))
    _connect(cable, spec.peer, f"peer={spec.peer}")
    plug_fd(jack, cable.detach(), Framing.DGRAM)


def _connect(cable: socket.socket, path: str, what: str) -> None:
    try:
        cable.connect(path)
    except OSError as error:
        cable.close()
        raise UsageError(f"{what}: {error.strerror or error}; start the other end first") from None


def _plug_boot(_stack: ExitStack, jack: Jack, spec: NicSpec) -> None:
    plug_boot_server(jack, Path(spec.target), spec.boot_file)


def plug_boot_server(jack: Jack, folder: Path, boot_file: str = "") -> None:
    """Put a boot server at the other end of a cable."""
    if not folder.is_dir():
        raise UsageError(f"boot:{folder}: not a folder")
    alarm = jack.alarm if isinstance(jack, NicJack) else None
    server = BootServer(folder, jack.give, alarm, boot_file)
    if boot_file and server.read_file(boot_file) is None:
        raise UsageError(f"file={boot_file}: not a file in {folder}")
    plug_python(jack, lambda frame, now: server.take(frame, now) if frame else server.wake(now))


_PLUGS: dict[str, Callable[[ExitStack, Jack, NicSpec], None]] = {
    "user": _plug_user,
    "tap": _plug_tap,
    "boot": _plug_boot,
    "stream": _plug_stream,
    "dgram": _plug_dgram,
}
