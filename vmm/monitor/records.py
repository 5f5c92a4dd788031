"""What goes to the C side and comes from it, as plain data. Times are ns of VM time, addresses are bytes.

Named tuples: data classes take ten times as long to define, and every run waits for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vmm.monitor.enums import (
    CpuMode,
    Direct,
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

REGISTER_NAMES = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
"""General registers in the hardware's order, which is the C side's."""

_CODE_LONG, _CODE_BIG = 1 << 21, 1 << 22
_EFER_LMA = 1 << 10


class Nic(NamedTuple):
    """A network adapter of a VM: the six bytes of its address, and its chip."""

    mac: bytes
    model: NicModel = NicModel.E82545EM


class Config(NamedTuple):
    """A VM to be made. `memory` is bytes, a multiple of 4096; `rtc_epoch` seconds since 1970 at power-on;
    `cpu_model` a row of `cpu_models()`; `quantum` instructions per CPU's turn, 0 for the default; `trace` the
    kinds of event recorded beside traps, exceptions and interrupts; `nics` at most 8; `scsi` the
    SCSI adapters, at most 4."""

    memory: int
    cpus: int = 1
    time: TimeMode = TimeMode.VIRTUAL
    smp: Smp = Smp.TURNS
    profile: Profile = Profile.ADAPTIVE
    direct: Direct = Direct.ON
    cpu_model: int = 0
    rtc_epoch: int = 0
    quantum: int = 0
    msr_ignore: bool = False
    debug_exit_port: int = 0
    trace: frozenset[TraceKind] = frozenset()
    nics: tuple[Nic, ...] = ()
    scsi: tuple[ScsiModel, ...] = ()


class DiskPlace(NamedTuple):
    """A place on a SCSI adapter. Target 7 of a 53C1030 is the adapter itself."""

    adapter: int = 0
    target: int = 0
    lun: int = 0

    def __str__(self) -> str:
        return f"{self.adapter}:{self.target}:{self.lun}"


class DiskStats(NamedTuple):
    """What a disk's queue has done since it was attached; `last_error` is the backend's text."""

    reads: int
    writes: int
    flushes: int
    discards: int
    read_bytes: int
    written_bytes: int
    errors: int
    last_error: str


class Boot(NamedTuple):
    """State of the boot processor; `registers` by name, absent ones are 0."""

    mode: CpuMode
    entry: int
    registers: Mapping[str, int]
    cr3: int = 0
    gdt_base: int = 0
    gdt_limit: int = 0
    cs: int = 0
    ds: int = 0


class Exit(NamedTuple):
    """Why a run ended; `request` and `value` are set for REQUEST, `cpu` is whose turn it was."""

    reason: ExitReason
    request: Request
    value: int
    cpu: int


class Segment(NamedTuple):
    """A segment register with its hidden part; `flags` are descriptor bits 8 to 23 at their place."""

    selector: int
    base: int
    limit: int
    flags: int


@dataclass(frozen=True, slots=True)
class Registers:
    """One CPU between runs. `general` by `REGISTER_NAMES`; `segments` by es cs ss ds fs gs ldt tr gdt idt."""

    general: Mapping[str, int]
    rip: int
    rflags: int
    cr: Mapping[int, int]
    efer: int
    dr: tuple[int, ...]
    segments: Mapping[str, Segment]
    cpl: int
    state: str
    instructions: int

    def __getitem__(self, name: str) -> int:
        """Value of `rax`…`r15`, `rip`, `rflags`, `efer`, `cr0`…, a segment's selector; else KeyError."""
        if name in self.general:
            return self.general[name]
        if name in self.segments:
            return self.segments[name].selector
        if name in ("rip", "rflags", "efer"):
            return int(getattr(self, name))
        if name.startswith("cr") and name[2:].isdigit():
            return self.cr[int(name[2:])]
        raise KeyError(name)

    @property
    def bits(self) -> int:
        """Width of the code at RIP: 16, 32 or 64."""
        flags = self.segments["cs"].flags
        if self.efer & _EFER_LMA and flags & _CODE_LONG:
            return 64
        return 32 if flags & _CODE_BIG else 16

    @property
    def pc(self) -> int:
        """Linear address of the instruction at RIP."""
        return self.rip if self.bits == 64 else (self.segments["cs"].base + self.rip) & 0xFFFFFFFF

    @property
    def stack(self) -> int:
        """Linear address of the top of the stack."""
        if self.bits == 64:
            return self.general["rsp"]
        mask = 0xFFFFFFFF if self.segments["ss"].flags & _CODE_BIG else 0xFFFF
        return (self.segments["ss"].base + (self.general["rsp"] & mask)) & 0xFFFFFFFF


class Stats(NamedTuple):
    """Counters since power-on. `monitor_entries` are how often the guest's execution was left for the
    monitor: traps, calls by native instructions, exceptions, interrupts, MMIO accesses. The mappings hold
    only what is not zero: `traps` by class of instruction, `exceptions` and `interrupts` by vector."""

    instructions: int
    vm_ns: int
    monitor_entries: int
    traps: Mapping[str, int]
    exceptions: Mapping[int, int]
    interrupts: Mapping[int, int]
    nmis: int
    engine_entries: int
    safe_points: int
    tlb_fills: int
    tlb_flushes: int
    blocks: int
    code_invalidations: int
    direct_loops: int
    mmio: int
    unclaimed_reads: int
    unclaimed_writes: int
    sbe_blocks: int
    sbe_clean: int
    sbe_instructions: int
    sbe_candidates: int
    sbe_sites: int
    sbe_seconds: float


class Site(NamedTuple):
    """A rewritten instruction: linear address, what it was, what became of it, what the engine fetches
    instead. `hits` counts traps: an inline form makes none."""

    pc: int
    mnemonic: str
    class_name: str
    bits: int
    cpl: int
    policy: Policy
    code: bytes
    replacement: bytes
    hits: int


class SratSummary(NamedTuple):
    """The vmkernel's account of this VM's pages: the system resource allocation table, not the ACPI table of
    that name. `pages` counts by purpose."""

    owner: int
    page_size: int
    pages: Mapping[str, int]
    dirty: int
    code: int
    pinned: int


class TraceEvent(NamedTuple):
    """Something the VM did at `time`; a, b and c are as `TraceKind` says."""

    time: int
    kind: TraceKind
    cpu: int
    a: int
    b: int
    c: int


class NetCounters(NamedTuple):
    """What went through a NIC's port since power-on; dropped: link down, no such size, or the queue full."""

    tx_frames: int
    tx_bytes: int
    tx_dropped: int
    rx_frames: int
    rx_bytes: int
    rx_dropped: int


class RawScreen(NamedTuple):
    """The VGA's text screen as its registers say; fields as in `vmm.console.screen.TextScreen`."""

    columns: int
    rows: int
    cells: tuple[int, ...]
    palette: tuple[tuple[int, int, int], ...]
    cell_width: int
    cell_height: int
    cursor: int | None
    cursor_lines: tuple[int, int]
    fonts: tuple[int, int]
    on: bool
    blinks: bool
    repeats_line_graphics: bool
    blink_shown: bool
    cursor_shown: bool
