"""The only way to the vmkernel monitor in C: one method per call, typed records, exceptions for codes.

Reading order: `library.py` (the extension), `enums.py` and `records.py` (its data), `check.py` (its errors),
`backend.py` and `disk.py` (disks before they are attached), `vm.py` (a virtual machine's handle).
"""

from __future__ import annotations

from vmm.monitor.backend import Backend, ram_backend
from vmm.monitor.enums import (
    Channel,
    CpuMode,
    Direct,
    DiskKind,
    ExitReason,
    NicModel,
    Policy,
    Profile,
    Request,
    ScsiModel,
    Smp,
    TimeMode,
    TraceKind,
)
from vmm.monitor.library import Library, cpu_models, engine_version, host_cycles, library
from vmm.monitor.records import (
    REGISTER_NAMES,
    Boot,
    Config,
    DiskPlace,
    DiskStats,
    Exit,
    NetCounters,
    Nic,
    RawScreen,
    Registers,
    Segment,
    Site,
    SratSummary,
    Stats,
    TraceEvent,
)
from vmm.monitor.vm import MAX_CPUS, Monitor

__all__ = [
    "MAX_CPUS",
    "REGISTER_NAMES",
    "Backend",
    "Boot",
    "Channel",
    "Config",
    "CpuMode",
    "Direct",
    "DiskKind",
    "DiskPlace",
    "DiskStats",
    "Exit",
    "ExitReason",
    "Library",
    "Monitor",
    "NetCounters",
    "Nic",
    "NicModel",
    "Policy",
    "Profile",
    "RawScreen",
    "Registers",
    "Request",
    "ScsiModel",
    "Segment",
    "Site",
    "Smp",
    "SratSummary",
    "Stats",
    "TimeMode",
    "TraceEvent",
    "TraceKind",
    "cpu_models",
    "engine_version",
    "host_cycles",
    "library",
    "ram_backend",
]
