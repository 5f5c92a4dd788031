"""What NICs are plugged into: switches, file descriptors, the user-mode network, Python.

A cable goes from a jack, `NicJack` or `SwitchJack`, to what a `plug_…` function puts at its other end.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, Self

from vmm.errors import HostError, UsageError
from vmm.monitor import ends
from vmm.monitor.check import InboxFull, failure
from vmm.monitor.ends import OnFrame
from vmm.monitor.library import ffi, lib, text_of
from vmm.monitor.vm import Monitor

MAX_FORWARDS = 32
MAX_VLAN = 4094
TRUNK = 4095
"""In place of a VLAN's number: every VLAN, frames with their tags."""

_U32 = 2**32 - 1


class Framing(IntEnum):
    """How frames are told apart on a file descriptor: the formats of QEMU's `-netdev stream` and `-netdev
    dgram`, and /dev/net/tun's."""

    STREAM = 0
    DGRAM = 1
    TAP = 2


class PortCounters(NamedTuple):
    """A switch's port; `rx` came in from the port, `learned` is how many addresses are known behind it."""

    rx_frames: int
    rx_bytes: int
    tx_frames: int
    tx_bytes: int
    dropped: int
    vlan: int
    learned: int


class Forward(NamedTuple):
    """A port of the host that leads to one of the guest; addresses are IPv4, as numbers."""

    udp: bool
    host_address: int
    host_port: int
    guest_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserNetwork:
    """Addresses of the user-mode network, IPv4 as numbers, and its forwards."""

    network: int
    mask: int
    gateway: int
    name_server: int
    first_lease: int
    forwards: tuple[Forward, ...] = ()


class SwitchHandle:
    """A switch of the monitor. It ends when it is closed and no NIC is plugged into it."""

    def __init__(self, latency: int) -> None:
        self._handle = lib.vmk_switch_create(latency)
        if not self._handle:
            raise HostError("no memory for a switch")
        self._lifetime = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; again is nothing."""
        with self._lifetime:
            handle, self._handle = self._handle, None
        if handle:
            lib.vmk_switch_release(handle)

    def raw(self) -> Any:
        """The handle; HostError once it is closed."""
        if self._handle is None:
            raise HostError("the switch is closed")
        return self._handle

    def remove(self, port: int) -> None:
        """Pull what is plugged into a port, and forget the port."""
        if lib.vmk_switch_remove(self.raw(), port) < 0:
            raise UsageError(f"the switch has no port {port}")

    def give(self, port: int, frame: bytes, when: int = 0) -> None:
        """A frame into a port that `plug_python` made, sent at VM time `when`."""
        if lib.vmk_switch_give(self.raw(), port, frame, len(frame), when) < 0:
            raise UsageError(f"port {port} of the switch takes no frame of {len(frame)} bytes")

    def counters(self, port: int) -> PortCounters:
        """What went through a port."""
        raw = ffi.new("struct vmk_switch_port *")
        if lib.vmk_switch_port(self.raw(), port, raw) < 0:
            raise UsageError(f"the switch has no port {port}")
        return PortCounters(*(int(getattr(raw, name)) for name in PortCounters._fields))


@dataclass(frozen=True, slots=True)
class NicJack:
    """A VM's network adapter."""

    monitor: Monitor
    nic: int = 0

    def raw(self) -> Any:
        """`struct vmk_jack`."""
        return ffi.new("struct vmk_jack *", {"vm": self.monitor.handle(), "nic": self.nic})

    def give(self, frame: bytes, when: int) -> None:
        """A frame in, at VM time `when`; a full queue drops it."""
        try:
            self.monitor.net_give(self.nic, frame, when)
        except InboxFull:
            return

    def alarm(self, when: int) -> None:
        """From within a function that `plug_python` put here: call it again at VM time `when`, with no
        frame."""
        lib.vmk_alarm(self.monitor.handle(), self.nic, when)


@dataclass(slots=True)
class SwitchJack:
    """A new port of a switch in a portgroup: VLAN 0 (untagged), 1 to 4094, or TRUNK."""

    switch: SwitchHandle
    vlan: int = 0
    port: int = field(default=-1, init=False)

    def raw(self) -> Any:
        """`struct vmk_jack`."""
        return ffi.new("struct vmk_jack *", {"sw": self.switch.raw(), "vlan": check_vlan(self.vlan)})

    def give(self, frame: bytes, when: int) -> None:
        """A frame in, sent at VM time `when`."""
        self.switch.give(self.port, frame, when)


Jack = NicJack | SwitchJack


def check_vlan(vlan: int) -> int:
    """`vlan` if a portgroup can have it; UsageError otherwise."""
    if not 0 <= vlan <= TRUNK:
        raise UsageError(f"VLAN {vlan}: a portgroup has 0 (untagged) to {MAX_VLAN}, a trunk {TRUNK}")
    return vlan


def plug_switch(jack: NicJack, switch: SwitchHandle, vlan: int = 0) -> int:
    """Join a NIC to a switch; the port's number."""
    error = ffi.new("struct vmk_net_error *")
    vm = jack.monitor.handle()
    code = lib.vmk_plug_switch(vm, jack.nic, switch.raw(), check_vlan(vlan), error)
    return _plugged(code, error, "plugging a NIC into a switch")


def plug_fd(jack: Jack, fd: int, framing: Framing) -> int:
    """Lead a cable to a file descriptor, which belongs to it from now on."""
    error = ffi.new("struct vmk_net_error *")
    return _note(jack, _plugged(lib.vmk_plug_fd(jack.raw(), fd, framing, error), error, "plugging in"))


def plug_user(jack: Jack, functions: Mapping[str, int], config: UserNetwork) -> int:
    """Lead a cable to the user-mode network; `functions` are addresses in libslirp by name."""
    error = ffi.new("struct vmk_net_error *")
    library = ffi.new("struct vmk_slirp *")
    for name, address in functions.items():
        setattr(library, name, ffi.cast("void *", address))
    code = lib.vmk_plug_user(jack.raw(), library, _user_config(config), error)
    return _note(jack, _plugged(code, error, "the user-mode network"))


def _user_config(config: UserNetwork) -> Any:
    raw = ffi.new("struct vmk_user_config *")
    for name in ("network", "mask", "gateway", "name_server", "first_lease"):
        setattr(raw, name, getattr(config, name))
    if len(config.forwards) > MAX_FORWARDS:
        raise UsageError(f"{len(config.forwards)} forwards: a NIC has at most {MAX_FORWARDS}")
    raw.forwards = len(config.forwards)
    for slot, forward in zip(raw.forward, config.forwards, strict=False):
        slot.udp, slot.host_address = forward.udp, forward.host_address
        slot.host_port, slot.guest_port = forward.host_port, forward.guest_port
    return raw


def plug_python(jack: Jack, on_frame: OnFrame) -> int:
    """Lead a cable to a function of the frame and the VM time it was sent. It is called on the thread of the
    sender and may answer with `jack.give`. What it raises comes out of this process's next `Monitor.run`."""
    token = ends.add(on_frame)
    error = ffi.new("struct vmk_net_error *")
    code = lib.vmk_plug_python(jack.raw(), lib.vmm_net_frame, token, error)
    return _note(jack, _plugged(code, error, "plugging in"))


def capture(jack: NicJack, fd: int, name: str) -> None:
    """Write what goes through a NIC to `fd`, which belongs to the capture, as pcapng until the VM ends."""
    error = ffi.new("struct vmk_net_error *")
    code = lib.vmk_capture(jack.monitor.handle(), jack.nic, fd, name.encode(), error)
    _plugged(code, error, "starting a capture")


def impair(jack: NicJack, *, seed: int = 0, loss: float = 0, corrupt: float = 0, delay: int = 0) -> None:
    """Make a NIC's cable a bad line in both directions: parts of the frames that get lost or have a bit
    flipped, 0 to 1, and ns that each takes longer."""
    error = ffi.new("struct vmk_net_error *")
    parts = [min(round(part * 2**32), _U32) for part in (loss, corrupt)]
    vm = jack.monitor.handle()
    _plugged(lib.vmk_impair(vm, jack.nic, seed, *parts, delay, error), error, "a bad line")


def set_outside(monitor: Monitor, outside: bool) -> None:
    """Whether frames come in by the host's time: an idle VM in virtual time then waits for them."""
    lib.vmk_outside(monitor.handle(), outside)


def _plugged(code: int, error: Any, doing: str) -> int:
    if code < 0:
        raise failure(code, text_of(error.text), doing)
    return code


def _note(jack: Jack, code: int) -> int:
    if isinstance(jack, SwitchJack):
        jack.port = code
    return code
