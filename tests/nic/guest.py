"""Debian's generic kernel with its own e1000 driver, on a machine whose NICs lead to peers of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from tests import initramfs, packages
from tests.nic.peer import Peer
from vmm.loader import fwcfg, memory_map
from vmm.machine.boot import power_on
from vmm.machine.options import MachineOptions, check_options
from vmm.machine.state_hash import state_sha256
from vmm.monitor import Boot, Channel, Config, CpuMode, ExitReason, Monitor, Nic, NicModel

KERNEL = "linux-image-amd64"
MODULES = "lib/modules/*/kernel/"
MACS = tuple(bytes.fromhex(f"000c29a1b2{number:02x}") for number in range(8))
E1000 = ("drivers/net/ethernet/intel/e1000/e1000.ko",)
VLAN = ("net/llc/llc.ko", "net/802/stp.ko", "net/802/garp.ko", "net/802/mrp.ko", "net/8021q/8021q.ko")
LATENCY = 50_000
SECOND = 1_000_000_000
NOTHING: Mapping[str, bool] = MappingProxyType({})


class NicOptions(MachineOptions):
    """The chips alone: their cables are this module's affair."""

    chips: tuple[Nic, ...] = ()

    def config(self) -> Config:
        return super().config()._replace(nics=type(self).chips)


class Ended(NamedTuple):
    """How a guest ended: what it said, and what two equal runs have in common."""

    said: str
    instructions: int
    time: int
    state: str


def module(name: str) -> Path:
    """A module of Debian's generic kernel, by its path below kernel/."""
    return packages.require(KERNEL, MODULES + name)


def initrd(commands: str, drivers: Sequence[str] = E1000) -> Path:
    """An initramfs that loads the drivers, then runs `commands`, then powers off."""
    return initramfs.marker_initramfs(commands=commands, modules=[module(name) for name in drivers])


def open_monitor(image: Path, nics: Sequence[Nic], **options: object) -> Monitor:
    """A VM with `image` loaded and NICs whose cables are open, before its first instruction."""
    checked = check_options(image, **options)  # type: ignore[arg-type]
    kind = type("Options", (NicOptions,), {"chips": tuple(nics)})
    monitor, _ = power_on(kind(**{f.name: getattr(checked, f.name) for f in fields(checked)}))
    return _with_open_cables(monitor)


def open_firmware(rom: Path, nics: Sequence[Nic], files: Mapping[str, bytes]) -> Monitor:
    """A VM that starts in the ROM at its reset vector, which finds `files` in fw_cfg; 64 MiB."""
    memory = 64 << 20
    monitor = Monitor(Config(memory=memory, nics=tuple(nics)))
    monitor.set_rom(rom.read_bytes())
    for key, data in fwcfg.build(1, memory_map(memory), files=files):
        monitor.add_fwcfg(key, data)
    monitor.boot(Boot(CpuMode.RESET, 0, {}))
    return _with_open_cables(monitor)


def _with_open_cables(monitor: Monitor) -> Monitor:
    for number in range(len(monitor.config.nics)):
        monitor.net_open(number)
    return monitor


def serve(
    monitor: Monitor,
    peers: Sequence[Peer],
    *,
    seconds: float = 60,
    until: Callable[[str], bool] = lambda said: False,
    cable: Mapping[str, bool] = NOTHING,
    typed: Sequence[tuple[str, str]] = (),
) -> str:
    """Run the guest to its end, or until what it said is enough, answering its frames; what it said. `cable`
    says after which words the first NIC's cable is pulled or plugged in; `typed` what to send to COM1 after
    which words, each looked for behind the one before."""
    lines, seen = list(typed), 0
    said: list[bytes] = []
    waiting = dict(cable)
    while True:
        end = monitor.run(until_time=int(seconds * SECOND), watch_frames=(1 << len(peers)) - 1)
        said += [monitor.output(channel) for channel in Channel]
        for number, peer in enumerate(peers):
            while taken := monitor.net_take(number):
                frame, when = taken
                peer.note(when)
                for reply in peer.answer(frame):
                    monitor.net_give(number, reply, when + LATENCY)
        text = b"".join(said).decode(errors="replace")
        for words in [words for words in waiting if words in text]:
            monitor.net_link(0, waiting.pop(words))
        while lines and lines[0][0] in text[seen:]:
            words, line = lines.pop(0)
            seen = text.index(words, seen) + len(words)
            monitor.post_serial(Channel.COM1, line.encode())
        if until(text) or end.reason not in (ExitReason.FRAME, ExitReason.OUTPUT):
            assert end.reason is not ExitReason.TIME, text
            return text


def run(
    commands: str,
    peers: Sequence[Peer],
    *,
    model: NicModel = NicModel.E82545EM,
    append: str = "",
    drivers: Sequence[str] = E1000,
    cable: Mapping[str, bool] = NOTHING,
    seconds: float = 120,
    cpus: int = 1,
) -> Ended:
    """Boot, run `commands`, power off."""
    nics = [Nic(mac, model) for mac in MACS[: len(peers)]]
    kernel = packages.require(KERNEL, "boot/vmlinuz-*")
    line = f"console=ttyS0 {append}".rstrip()
    monitor = open_monitor(
        kernel, nics, initrd=initrd(commands, drivers), append=line, memory="256M", cpus=cpus
    )
    with monitor:
        said = serve(monitor, peers, seconds=seconds, cable=cable)
        return Ended(said, monitor.instructions(), monitor.now(), state_sha256(monitor))
