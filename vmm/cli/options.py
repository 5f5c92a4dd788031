"""Options of `vmm run`, which `vmm sbe --run` takes too: written once, as the fields of a data class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmm.cli.declare import argument, flag, option, repeated
from vmm.config.quantity import check_seconds, parse_count, parse_port, parse_seconds
from vmm.errors import UsageError
from vmm.loader import Module


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """As typed; `machine_arguments` makes of it what `Machine` takes."""

    image: Path = argument("IMAGE", "Kernel or ROM; its format is found out.", Path)
    append: str = option("", "TEXT", "Kernel command line.")
    initrd: Path | None = option(None, "FILE", "Initial RAM disk, or first module.", Path)
    module: list[str] = repeated("FILE[=ARGS]", "Module beside a Multiboot or PVH kernel; repeatable.")
    memory: str = option("512M", "SIZE", "Guest RAM, such as 64M or 2G (default 512M).")
    cpus: int = option(1, "N", "Processors, 1 to 64 (default 1).", parse_count)
    cpu: str | None = option(None, "MODEL", "CPU model; vmm models lists them.")
    time: str | None = option(
        None,
        "virtual|real",
        "Clock: virtual is the guest's own and repeatable (default), real the host's "
        "(default with --console).",
    )
    smp: str = option(
        "turns",
        "turns|threads",
        "Several processors: by turns on one host thread (default), or each on its own, in real time only.",
    )
    until: str | None = option(None, "REGEX", "End when serial, screen or debug console shows this.")
    timeout: float | None = option(
        None, "SECONDS", "Guest seconds in virtual time, wall seconds in real time.", parse_seconds
    )
    sbe: str = option(
        "adaptive",
        "full|adaptive|off",
        "Scan before execution: every sensitive instruction traps, only those that must (default), "
        "only what would else be wrong.",
    )
    direct: str = option(
        "on",
        "on|off|eager",
        "Hot loops run on the host's own processor (default), never, or at first sight; no guest can tell.",
    )
    policy: list[str] = repeated(
        "NAME=native|trap|inline",
        "What SBE does with one instruction, such as WBINVD=inline; vmm insns lists names and what each "
        "allows; repeatable.",
    )
    serial: Path | None = option(None, "FILE", "COM1's output, - for stdout (default).", Path)
    disk: list[str] = repeated(
        "FILE[,OPTION]…",
        "SCSI disk: an image or block device. Options: format=raw|vmdk|qcow2, readonly, snapshot (forget "
        "what is written), id=0..59 (its place), werror=report|stop (with the host's disk full the guest has "
        "an error, or the VM waits); repeatable, up to 60.",
    )
    cdrom: list[str] = repeated("FILE", "CD-ROM image in a SCSI drive; repeatable.")
    boot: str | None = option(
        None, "disk|cdrom|net", "What firmware tries, joined by commas; IMAGE is a BIOS then."
    )
    screen: Path | None = option(None, "FILE.txt|FILE.png", "Save the screen at the end.", Path)
    keys: str = option(
        "",
        "TEXT",
        "Type from one guest second on: text with \\n \\t \\b \\e, keys {f1} {ctrl+alt+del}, "
        "pauses {wait 2.5}, {{ for a brace.",
    )
    debug_exit: str | None = option(None, "PORT", "A write to this port ends the run.")
    trace: str = option(
        "",
        "WHAT",
        "Print events to stderr: traps, exceptions, interrupts, ports, mmio, unclaimed, msr, "
        "syscalls, ipi, all; joined by commas.",
    )
    json: Path | None = option(None, "FILE", "Write the result there, - for stdout.", Path)
    console: bool = flag("Join this terminal to COM1; Ctrl-] leaves.")
    protocol: str | None = option(None, "NAME", "Insist on a boot protocol, such as pvh or linux32.")
    nic: list[str] = repeated(
        "KIND[,KEY=VALUE…]",
        "Network adapter: user (NAT, DHCP, DNS; forward=tcp:HOST:GUEST), switch:NAME (shared by name between "
        "processes; vlan=N), boot:FOLDER (DHCP, TFTP and HTTP server; file=NAME), tap:INTERFACE, "
        "stream:SOCKET, dgram:SOCKET,peer=SOCKET, none; with each model=82545em|82540em, mac=…, pcap=FILE, "
        "rom=FILE (an option ROM for the BIOS, such as iPXE), loss=1%, corrupt=1%, delay=10ms, seed=N; "
        "repeatable.",
    )
    msr: str = option("fault", "fault|zero", "What unknown MSRs do (default fault).")

    def machine_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `Machine`; UsageError for what cannot be."""
        if self.timeout is not None:
            check_seconds(self.timeout, "--timeout")
        return {
            "memory": self.memory,
            "cpus": self.cpus,
            "append": self.append,
            "initrd": self.initrd,
            "modules": [_module(text) for text in self.module],
            "cpu": self.cpu,
            "time": self.time or ("real" if self.console else "virtual"),
            "smp": self.smp,
            "sbe": self.sbe,
            "direct": self.direct,
            "policies": _policies(self.policy),
            "debug_exit": None if self.debug_exit is None else parse_port(self.debug_exit),
            "msr": self.msr,
            "trace": self.trace,
            "protocol": self.protocol,
            "nics": self.nic,
            "disks": self.disk,
            "cdroms": self.cdrom,
            "boot": self.boot,
        }


def _module(text: str) -> Module:
    """`FILE[=ARGS]`; a file whose own name holds `=` is taken as it is."""
    path, _, args = text.partition("=")
    return Module(Path(text)) if Path(text).is_file() else Module(Path(path), args)


def _policies(texts: list[str]) -> dict[str, str]:
    """`NAME=POLICY` of each; the last one for a name holds."""
    policies = {}
    for text in texts:
        name, equals, policy = text.partition("=")
        if not equals:
            raise UsageError(f"--policy {text}: write NAME=native, NAME=trap or NAME=inline")
        policies[name] = policy
    return policies
