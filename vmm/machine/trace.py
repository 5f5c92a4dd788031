"""Recorded events as text, and the names by which `--trace` asks for them."""

from __future__ import annotations

from collections.abc import Iterable

from vmm.errors import UsageError
from vmm.machine.vectors import exception_text
from vmm.monitor import TraceEvent, TraceKind
from vmm.monitor.library import trap_classes

TRACE_NAMES: dict[str, frozenset[TraceKind]] = {
    "traps": frozenset({TraceKind.TRAP}),
    "exceptions": frozenset({TraceKind.EXCEPTION}),
    "interrupts": frozenset({TraceKind.INTERRUPT}),
    "ports": frozenset({TraceKind.PORT_READ, TraceKind.PORT_WRITE}),
    "mmio": frozenset({TraceKind.MMIO_READ, TraceKind.MMIO_WRITE}),
    "unclaimed": frozenset({TraceKind.UNCLAIMED}),
    "msr": frozenset({TraceKind.MSR}),
    "syscalls": frozenset({TraceKind.SYSCALL}),
    "ipi": frozenset({TraceKind.IPI}),
    "all": frozenset(TraceKind),
}
_WRITE, _MMIO = 0x100, 0x200
_MSR_ACTIONS = ("read", "write", "refused read", "refused write")


def kinds_of(names: Iterable[str]) -> frozenset[TraceKind]:
    """Kinds of event behind the names; UsageError for an unknown one."""
    kinds: frozenset[TraceKind] = frozenset()
    for name in filter(None, (name.strip() for name in names)):
        if name not in TRACE_NAMES:
            raise UsageError(f"cannot trace '{name}'; choose from {', '.join(TRACE_NAMES)}")
        kinds |= TRACE_NAMES[name]
    return kinds


def event_line(event: TraceEvent) -> str:
    """`time cpu what`, one line."""
    return f"{event.time / 1e9:14.9f} cpu{event.cpu} {event_text(event)}"


def event_text(event: TraceEvent) -> str:
    """What happened, without time and CPU."""
    return _TEXTS[event.kind](event)


def _trap(event: TraceEvent) -> str:
    classes = trap_classes()
    name = classes[event.c] if event.c < len(classes) else f"class {event.c}"
    return f"trap {name} at {event.a:#x}"


def _exception(event: TraceEvent) -> str:
    return f"exception {exception_text(event.b, event.c)} at {event.a:#x}"


def _interrupt(event: TraceEvent) -> str:
    name = "NMI" if event.b == 2 else f"interrupt {event.b:#x}"
    return f"{name} at {event.a:#x}"


def _port_read(event: TraceEvent) -> str:
    return f"in{event.c * 8} port {event.a:#x} -> {event.b:#x}"


def _port_write(event: TraceEvent) -> str:
    return f"out{event.c * 8} port {event.a:#x} <- {event.b:#x}"


def _mmio_read(event: TraceEvent) -> str:
    return f"mmio read{event.c * 8} {event.a:#x} -> {event.b:#x}"


def _mmio_write(event: TraceEvent) -> str:
    return f"mmio write{event.c * 8} {event.a:#x} <- {event.b:#x}"


def _unclaimed(event: TraceEvent) -> str:
    place = "address" if event.c & _MMIO else "port"
    verb, arrow = ("write", "<-") if event.c & _WRITE else ("read", "->")
    return f"unclaimed {place} {verb}{(event.c & 0xFF) * 8} {event.a:#x} {arrow} {event.b:#x}"


def _msr(event: TraceEvent) -> str:
    return f"msr {_MSR_ACTIONS[event.c & 3]} {event.a:#x} value {event.b:#x}"


def _syscall(event: TraceEvent) -> str:
    return f"syscall at {event.a:#x}"


def _ipi(event: TraceEvent) -> str:
    return f"ipi vector {event.b:#x} mode {event.c} to {event.a:#x}"


def _reset(_event: TraceEvent) -> str:
    return "system reset"


_TEXTS = {
    TraceKind.TRAP: _trap,
    TraceKind.EXCEPTION: _exception,
    TraceKind.INTERRUPT: _interrupt,
    TraceKind.PORT_READ: _port_read,
    TraceKind.PORT_WRITE: _port_write,
    TraceKind.MMIO_READ: _mmio_read,
    TraceKind.MMIO_WRITE: _mmio_write,
    TraceKind.UNCLAIMED: _unclaimed,
    TraceKind.MSR: _msr,
    TraceKind.SYSCALL: _syscall,
    TraceKind.IPI: _ipi,
    TraceKind.RESET: _reset,
}
