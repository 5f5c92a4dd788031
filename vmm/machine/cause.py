"""Why a guest died, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from vmm.machine.backtrace import Reader
from vmm.machine.vectors import INVALID_OPCODE, PAGE_FAULT, exception_text
from vmm.monitor import Exit, ExitReason, Registers, TraceEvent, TraceKind

_FAULTS_OF_NOWHERE = (INVALID_OPCODE, PAGE_FAULT)
_NOTHING = b"\xff" * 8


def cause_of(end: Exit, registers: Registers, events: Sequence[TraceEvent], read: Reader) -> str:
    """The sentence for a run that ended with `end`; `registers` are those of the CPU that was on turn."""
    if end.reason is ExitReason.HALTED:
        return "halted for ever: every CPU has stopped with interrupts off"
    if end.reason is ExitReason.IDLE:
        return "waits for input that will never come: all CPUs idle and no timer is armed"
    chain = last_exceptions(events, end.cpu)
    names = " -> ".join(exception_text(event.b, event.c) for event in chain)
    place = f"at {chain[-1].a if chain else registers.rip:#x}"
    what = f"triple fault: {names} {place}" if names else f"triple fault {place}"
    return (
        f"jump into nothing: {_nothing(registers, read)}; {what}"
        if _in_nothing(chain, registers, read)
        else what
    )


def last_exceptions(events: Sequence[TraceEvent], cpu: int) -> list[TraceEvent]:
    """The exceptions a CPU met without running an instruction in between, oldest first."""
    chain: list[TraceEvent] = []
    for event in reversed(events):
        if event.cpu != cpu:
            continue
        if event.kind is not TraceKind.EXCEPTION or (chain and event.a != chain[0].a):
            break
        chain.insert(0, event)
    return chain


def _in_nothing(chain: Sequence[TraceEvent], registers: Registers, read: Reader) -> bool:
    """Whether it began with a fetch from where no code can be."""
    if not chain or chain[0].b not in _FAULTS_OF_NOWHERE:
        return False
    code = read(registers.pc, len(_NOTHING))
    return not code or code == _NOTHING


def _nothing(registers: Registers, read: Reader) -> str:
    state = "holds only FF bytes" if read(registers.pc, 1) else "is no memory"
    return f"{registers.pc:#x} {state}"
