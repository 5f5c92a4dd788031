"""The numbers of csrc/include/vmk_api.h and vmk_sbe.h as enumerations; a test compares them."""

from __future__ import annotations

from enum import IntEnum


class Channel(IntEnum):
    """Where guest output comes out."""

    COM1 = 0
    COM2 = 1
    DEBUGCON = 2


class Request(IntEnum):
    """What a guest can ask of whoever runs it."""

    NONE = 0
    RESET = 1
    POWEROFF = 2
    DEBUG_EXIT = 3


class TimeMode(IntEnum):
    """Whose clock the VM lives by: its own instruction count, or the host's."""

    VIRTUAL = 0
    REAL = 1


class Smp(IntEnum):
    """How several CPUs run: by turns on one host thread, or each on its own."""

    TURNS = 0
    THREADS = 1


class Profile(IntEnum):
    """Scan-before-execution: everything traps, only what must, next to nothing (for comparison)."""

    FULL = 0
    ADAPTIVE = 1
    OFF = 2


class Direct(IntEnum):
    """Direct execution of hot loops: as they are found, never, or at the first sight of each (for tests)."""

    ON = 0
    OFF = 1
    EAGER = 2


class Policy(IntEnum):
    """What becomes of a sensitive instruction: it runs as it is, traps, or gives way to its inline form."""

    NATIVE = 0
    TRAP = 1
    INLINE = 2


class CpuMode(IntEnum):
    """State the boot processor starts in."""

    RESET = 0
    REAL = 1
    PROTECTED = 2
    LONG = 3


class ExitReason(IntEnum):
    """Why a run ended."""

    OUTPUT = 1
    REQUEST = 2
    TIME = 3
    INSTRUCTIONS = 4
    TRIPLE_FAULT = 5
    HALTED = 6
    IDLE = 7
    STOPPED = 8
    ERROR = 9
    FRAME = 10


class NicModel(IntEnum):
    """Network chips: what VMware calls e1000, and its sibling for conventional PCI."""

    E82545EM = 0
    E82540EM = 1


class TraceKind(IntEnum):
    """Kinds of recorded event; enum vmk_trace_kind in vmk_api.h says what a, b and c of an event mean."""

    TRAP = 0
    EXCEPTION = 1
    INTERRUPT = 2
    PORT_READ = 3
    PORT_WRITE = 4
    MMIO_READ = 5
    MMIO_WRITE = 6
    UNCLAIMED = 7
    MSR = 8
    SYSCALL = 9
    IPI = 10
    RESET = 11


class SratPurpose(IntEnum):
    """What a page of a VM's memory is for, in the system resource allocation table."""

    FREE = 0
    GUEST_RAM = 1
    ROM = 2
    SHARED = 3
    BALLOON = 4


class ScsiModel(IntEnum):
    """SCSI host adapters."""

    LSI53C1030 = 0
    SAS1068 = 1


class DiskKind(IntEnum):
    """What a place on a SCSI adapter holds."""

    DISK = 0
    CDROM = 1
