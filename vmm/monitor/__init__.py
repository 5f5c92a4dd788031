"""The only way to the vmkernel monitor in C: one method per call, typed records, exceptions for codes.

Reading order: `library.py` (the extension), `enums.py` and `records.py` (its data), `check.py` (its errors),
`vm.py` (a virtual machine's handle).
"""

from __future__ import annotations

from vmm.monitor.enums import (
    Channel,
    CpuMode,
    Direct,
    ExitReason,
    NicModel,
    Policy,
    Profile,
    Request,
    TimeMode,
    TraceKind,
)
from vmm.monitor.library import Library, cpu_models, engine_version, library
from vmm.monitor.records import (
    REGISTER_NAMES,
    Boot,
    Config,
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
    "Boot",
    "Channel",
    "Config",
    "CpuMode",
    "Direct",
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
    "Segment",
    "Site",
    "SratSummary",
    "Stats",
    "TimeMode",
    "TraceEvent",
    "TraceKind",
    "cpu_models",
    "engine_version",
    "library",
]
