"""Debian's generic kernel with its own e1000 driver, on a machine whose NICs lead to peers of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from tests import initramfs, packages
from tests.nic.peer import Peer
from vmm.loader import BootPlan
from vmm.machine.boot import power_on
from vmm.machine.options import MachineOptions, check_options
from vmm.machine.state_hash import state_sha256
from vmm.monitor import Channel, Config, ExitReason, Monitor, Nic, NicModel

KERNEL = "linux-image-amd64"
MODULES = "lib/modules/*/kernel/"
MACS = tuple(bytes.fromhex(f"000c29a1b2{number:02x}") for number in range(8))
LATENCY = 50_000
SECOND = 1_000_000_000


class NicOptions(MachineOptions):
    """`nics` cannot be a field of its own: the base class has slots and is frozen."""

    nics: tuple[Nic, ...] = ()

    def config(self) -> Config:
        return super().config()._replace(nics=type(self).nics)


class Ended(NamedTuple):
    """How a guest ended: what it said, and what two equal runs have in common."""

    said: str
    instructions: int
    time: int
    state: str


def module(name: str) -> Path:
    """A module of Debian's generic kernel, by its path below kernel/."""
    return packages.require(KERNEL, MODULES + name)


def initrd(commands: str, drivers: Sequence[str] = ("drivers/net/ethernet/intel/e1000/e1000.ko",)) -> Path:
    """An initramfs that loads the drivers, then runs `commands`, then powers off."""
    return initramfs.marker_initramfs(commands=commands, modules=[module(name) for name in drivers])


def open_monitor(image: Path, nics: Sequence[Nic], **options: object) -> tuple[Monitor, BootPlan]:
    """A VM with `image` loaded and NICs whose cables are open, before its first instruction."""
    checked = check_options(image, **options)  # type: ignore[arg-type]
    kind = type("Options", (NicOptions,), {"nics": tuple(nics)})
    monitor, plan = power_on(kind(**{f.name: getattr(checked, f.name) for f in fields(checked)}))
    for number in range(len(nics)):
        monitor.net_open(number)
    return monitor, plan


def serve(
    monitor: Monitor,
    peers: Sequence[Peer],
    *,
    seconds: float = 60,
    until: Callable[[str], bool] = lambda said: False,
    on_frame: Callable[[int, bytes, int], None] = lambda nic, frame, when: None,
) -> str:
    """Run the guest to its end, or until what it said is enough, answering its frames; what it said."""
    said: list[bytes] = []
    while True:
        end = monitor.run(until_time=int(seconds * SECOND), watch_frames=(1 << len(peers)) - 1)
        said.append(monitor.output(Channel.COM1))
        for number, peer in enumerate(peers):
            while taken := monitor.net_take(number):
                frame, when = taken
                on_frame(number, frame, when)
                for reply in peer.answer(frame):
                    monitor.net_give(number, reply, when + LATENCY)
        text = b"".join(said).decode(errors="replace")
        if until(text) or end.reason not in (ExitReason.FRAME, ExitReason.OUTPUT):
            assert end.reason is not ExitReason.TIME, text
            return text


def run(
    commands: str,
    peers: Sequence[Peer],
    *,
    model: NicModel = NicModel.E82545EM,
    append: str = "",
    seconds: float = 60,
    cpus: int = 1,
) -> Ended:
    """Boot, run `commands`, power off."""
    nics = [Nic(mac, model) for mac in MACS[: len(peers)]]
    kernel = packages.require(KERNEL, "boot/vmlinuz-*")
    line = f"console=ttyS0 {append}".rstrip()
    monitor, _ = open_monitor(kernel, nics, initrd=initrd(commands), append=line, memory="256M", cpus=cpus)
    with monitor:
        said = serve(monitor, peers, seconds=seconds)
        return Ended(said, monitor.instructions(), monitor.now(), state_sha256(monitor))
