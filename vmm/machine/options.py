"""The machine a user asks for, checked: what `Machine` takes as keywords and `vmm run` as options."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from vmm.config.quantity import parse_size
from vmm.errors import UsageError
from vmm.loader import BootRequest, Module, acpi, memory_map
from vmm.machine.policies import Choice, check_policies
from vmm.machine.trace import kinds_of
from vmm.monitor import (
    MAX_CPUS,
    Config,
    Direct,
    Nic,
    Profile,
    ScsiModel,
    Smp,
    TimeMode,
    TraceKind,
    cpu_models,
)

if TYPE_CHECKING:
    from datetime import datetime

    from vmm.machine.disks import DiskLike, DiskSpec
    from vmm.net.spec import NicSpec

VIRTUAL_RTC = 946_684_800
"""What the RTC shows at power-on in virtual time, in seconds since 1970: 2000-01-01 in every run."""

SMP_MODES = {"turns": Smp.TURNS, "threads": Smp.THREADS}
TIMES = {"virtual": TimeMode.VIRTUAL, "real": TimeMode.REAL}
PROFILES = {"full": Profile.FULL, "adaptive": Profile.ADAPTIVE, "off": Profile.OFF}
DIRECT = {"on": Direct.ON, "off": Direct.OFF, "eager": Direct.EAGER}
SCSI_MODELS = {"lsilogic": ScsiModel.LSI53C1030, "lsisas1068": ScsiModel.SAS1068}
MAX_SCSI_ADAPTERS = 4
MSR_POLICIES = {"fault": False, "zero": True}

NONE: Mapping[str, str] = MappingProxyType({})

T = TypeVar("T")
PathLike = str | os.PathLike[str]
ModuleLike = Module | PathLike | tuple[PathLike, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions:
    """Checked and converted: `memory` in bytes, `cpu` a known model, `rtc` seconds since 1970."""

    image: Path
    memory: int
    cpus: int
    append: str
    initrd: Path | None
    modules: tuple[Module, ...]
    cpu: str
    time: TimeMode
    smp: Smp
    sbe: Profile
    direct: Direct
    policies: tuple[Choice, ...]
    debug_exit: int | None
    msr_ignore: bool
    trace: frozenset[TraceKind]
    protocol: str | None
    rtc: int
    nics: tuple[NicSpec, ...] = ()
    scsi: tuple[ScsiModel, ...] = ()
    disks: tuple[DiskSpec, ...] = ()
    boot: str | None = None

    def config(self) -> Config:
        """For the monitor."""
        return Config(
            memory=self.memory,
            cpus=self.cpus,
            time=self.time,
            smp=self.smp,
            profile=self.sbe,
            direct=self.direct,
            cpu_model=list(cpu_models()).index(self.cpu),
            rtc_epoch=self.rtc,
            msr_ignore=self.msr_ignore,
            debug_exit_port=self.debug_exit or 0,
            trace=self.trace,
            nics=tuple(Nic(spec.mac or b"", spec.model) for spec in self.nics),
            scsi=self.scsi,
        )

    def firmware_files(self) -> dict[str, bytes]:
        """What fw_cfg has beside what every machine's has."""
        files = {f"genroms/nic{number}.rom": nic.rom for number, nic in enumerate(self.nics) if nic.rom}
        if self.boot is not None:
            from vmm.machine.disks import boot_order  # noqa: PLC0415 (few ask for it)

            files["bootorder"] = boot_order(self.boot, self.disks, len(self.nics))
        return files

    def request(self, tables: acpi.AcpiTables) -> BootRequest:
        """For the loader, on a machine with these ACPI tables."""
        return BootRequest(
            memory=self.memory,
            memory_map=memory_map(self.memory),
            append=self.append,
            initrd=self.initrd,
            modules=self.modules,
            rsdp=tables.rsdp_address,
            rsdp_bytes=tables.rsdp,
            protocol=self.protocol,
        )


def check_options(
    image: PathLike,
    *,
    memory: str | int = "512M",
    cpus: int = 1,
    append: str = "",
    initrd: PathLike | None = None,
    modules: Sequence[ModuleLike] = (),
    cpu: str | None = None,
    time: str = "virtual",
    smp: str = "turns",
    sbe: str = "adaptive",
    direct: str = "on",
    policies: Mapping[str, str] = NONE,
    debug_exit: int | None = None,
    msr: str = "fault",
    trace: str | Iterable[str] = (),
    protocol: str | None = None,
    rtc: datetime | None = None,
    nics: Sequence[str | NicSpec] = (),
    scsi: Sequence[str] = (),
    disks: Sequence[DiskLike] = (),
    cdroms: Sequence[DiskLike] = (),
    boot: str | None = None,
) -> MachineOptions:
    """`Machine`'s arguments as options; UsageError, one line, for the first that cannot be."""
    mode = _choice("time", time, TIMES)
    specs = _disks(disks, cdroms)
    return MachineOptions(
        image=Path(image),
        memory=_memory(memory),
        cpus=_cpus(cpus),
        append=append,
        initrd=Path(initrd) if initrd is not None else None,
        modules=tuple(_module(module) for module in modules),
        cpu=_cpu_model(cpu),
        time=mode,
        smp=_smp(smp, mode),
        sbe=_choice("SBE profile", sbe, PROFILES),
        direct=_choice("direct execution", direct, DIRECT),
        policies=check_policies(policies),
        debug_exit=_port(debug_exit),
        msr_ignore=_choice("policy for MSRs", msr, MSR_POLICIES),
        trace=kinds_of(trace.split(",") if isinstance(trace, str) else trace),
        protocol=protocol,
        rtc=_rtc(rtc, mode),
        nics=_nics(nics),
        scsi=_scsi(scsi, specs),
        disks=specs,
        boot=boot,
    )


def _choice(what: str, value: str, choices: dict[str, T]) -> T:
    if value not in choices:
        raise UsageError(f"unknown {what} '{value}'; choose from {', '.join(choices)}")
    return choices[value]


def _disks(disks: Sequence[DiskLike], cdroms: Sequence[DiskLike]) -> tuple[DiskSpec, ...]:
    if not disks and not cdroms:
        return ()
    from vmm.machine.disks import disk_specs  # noqa: PLC0415 (most machines have none)

    return disk_specs(disks, cdroms)


def _scsi(models: Sequence[str], disks: Sequence[DiskSpec]) -> tuple[ScsiModel, ...]:
    """The adapters asked for, and for disks beyond those as many of the first kind as they need."""
    needed = max((disk.place.adapter + 1 for disk in disks), default=0)
    if len(models) < needed:
        models = [*models, *[(*models, "lsilogic")[0]] * (needed - len(models))]
    if len(models) > MAX_SCSI_ADAPTERS:
        raise UsageError(f"{len(models)} SCSI adapters: a machine has at most {MAX_SCSI_ADAPTERS}")
    return tuple(_choice("SCSI adapter", model, SCSI_MODELS) for model in models)


def _memory(memory: str | int) -> int:
    size = parse_size(memory) if isinstance(memory, str) else memory
    memory_map(size)  # refuses what no PC can have
    return size


def _cpus(cpus: int) -> int:
    if not 1 <= cpus <= MAX_CPUS:
        raise UsageError(f"{cpus} CPUs: a machine has 1 to {MAX_CPUS}")
    return cpus


def _smp(name: str, mode: TimeMode) -> Smp:
    smp = _choice("way to run several CPUs", name, SMP_MODES)
    if smp is Smp.THREADS and mode is not TimeMode.REAL:
        raise UsageError(
            "a thread per CPU needs real time, because only turns are the same in every run: "
            "add --time real (time='real'), or leave threads out"
        )
    return smp


def _module(module: ModuleLike) -> Module:
    if isinstance(module, Module):
        return module
    path, args = module if isinstance(module, tuple) else (module, "")
    return Module(Path(path), args)


def _cpu_model(name: str | None) -> str:
    models = cpu_models()
    if name is None:
        return next(iter(models))
    if name not in models:
        raise UsageError(f"unknown CPU model '{name}'; known are {', '.join(models)}")
    return name


def _port(port: int | None) -> int | None:
    if port is not None and not 0 < port <= 0xFFFF:
        raise UsageError(f"debug-exit port {port}: a port is 1 to 65535")
    return port


def _nics(nics: Sequence[str | NicSpec]) -> tuple[NicSpec, ...]:
    if not nics:
        return ()
    from vmm.net.spec import check_nics  # noqa: PLC0415 (most runs have none)

    return check_nics([nics] if isinstance(nics, str) else nics)


def _rtc(rtc: datetime | None, mode: TimeMode) -> int:
    if rtc is None:
        return VIRTUAL_RTC if mode is TimeMode.VIRTUAL else int(time.time())
    from datetime import UTC  # noqa: PLC0415 (slow to load; whoever has a date has loaded it)

    seconds = int((rtc if rtc.tzinfo else rtc.replace(tzinfo=UTC)).timestamp())
    if seconds < 0:
        raise UsageError(f"the RTC cannot show {rtc:%Y-%m-%d}: give a date from 1970 on")
    return seconds
