"""What there is to know about a guest that died, gathered once, while the machine still stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmm.machine.backtrace import Reader, return_addresses
from vmm.machine.cause import cause_of
from vmm.machine.disassembly import Instruction, disassemble
from vmm.machine.trace import event_line
from vmm.monitor import REGISTER_NAMES, Exit, Registers, TraceEvent, TraceKind

if TYPE_CHECKING:
    from vmm.loader import SymbolTable
    from vmm.machine.machine import Machine

EVENTS = 32
_INSTRUCTIONS = 8
_STACK_WORDS = 16
_MAX_OFFSET = 16 << 10
_HLT = b"\xf4"

_SHOWN = frozenset({TraceKind.TRAP, TraceKind.EXCEPTION, TraceKind.INTERRUPT})

Section = tuple[str, list[str]]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`code` begins at RIP, or at the HLT before it; `stack` are (address, value) of the words at its top;
    `backtrace` are return addresses, innermost first; `events` the last traps, exceptions and interrupts."""

    cause: str
    cpu: int
    registers: Registers
    code: tuple[Instruction, ...]
    stack: tuple[tuple[int, int], ...]
    backtrace: tuple[int, ...]
    events: tuple[TraceEvent, ...]
    symbols: SymbolTable | None

    def sections(self) -> list[Section]:
        """The diagnostic screen's parts: (title, lines)."""
        return [
            (f"Registers of CPU {self.cpu}", list(self._register_lines())),
            ("Code at RIP", self._code_lines()),
            ("Stack", list(self._stack_lines())),
            ("Backtrace", [f"{address:#x} {self.name(address)}".rstrip() for address in self.backtrace]),
            (f"Last {len(self.events)} events", [event_line(event) for event in self.events]),
        ]

    def name(self, address: int) -> str:
        """`symbol+0x12` for an address, or nothing."""
        found = self.symbols.lookup(address) if self.symbols else None
        if found is None or found[1] > _MAX_OFFSET:
            return ""
        return f"{found[0]}+{found[1]:#x}" if found[1] else found[0]

    def _register_lines(self) -> Iterator[str]:
        registers = self.registers
        for first in range(0, len(REGISTER_NAMES), 4):
            names = REGISTER_NAMES[first : first + 4]
            yield "  ".join(f"{name:>3} {registers[name]:016x}" for name in names)
        yield (
            f"rip {registers.rip:016x}  flg {registers.rflags:016x}  {registers.bits}-bit code, "
            f"CPL {registers.cpl}, {registers.state}"
        )
        yield "  ".join(f"cr{number} {registers.cr[number]:016x}" for number in (0, 2, 3, 4))
        segments = registers.segments
        yield "  ".join(
            f"{name} {segments[name].selector:04x}" for name in ("cs", "ss", "ds", "es", "fs", "gs", "tr")
        )
        yield "  ".join(
            f"{name} {segments[name].base:016x}/{segments[name].limit:x}" for name in ("gdt", "idt")
        )

    def _code_lines(self) -> list[str]:
        if not self.code:
            return ["(no memory)"]
        where = self.name(self.code[0].address)
        lines = [f"{one.address:016x}  {one.code.hex(' '):<30}  {one.text}" for one in self.code]
        return [f"{where}:", *lines] if where else lines

    def _stack_lines(self) -> Iterator[str]:
        if not self.stack:
            yield "(no memory)"
        for address, value in self.stack:
            yield f"{address:016x}  {value:016x}  {self.name(value)}".rstrip()


def diagnose(machine: Machine, end: Exit) -> Diagnosis:
    """The diagnosis of a machine whose run ended with `end`."""
    monitor = machine.monitor
    registers = monitor.registers(end.cpu)

    def read(address: int, length: int) -> bytes:
        return monitor.linear_read(end.cpu, address, length)

    events = [event for event in monitor.trace() if event.kind in _SHOWN][-EVENTS:]
    start = _code_start(registers, read)
    code = read(start, 16 * _INSTRUCTIONS)
    return Diagnosis(
        cause=cause_of(end, registers, events, read),
        cpu=end.cpu,
        registers=registers,
        code=tuple(disassemble(code, start, registers.bits, _INSTRUCTIONS)),
        stack=tuple(_stack(registers, read(registers.stack, _STACK_WORDS * registers.bits // 8))),
        backtrace=tuple(return_addresses(registers, read)),
        events=tuple(events),
        symbols=machine.symbols,
    )


def _code_start(registers: Registers, read: Reader) -> int:
    """RIP, or the HLT before it: that is what a halted CPU is at."""
    before = registers.pc - 1
    return before if registers.state == "halted" and read(before, 1) == _HLT else registers.pc


def _stack(registers: Registers, data: bytes) -> Iterator[tuple[int, int]]:
    width = registers.bits // 8
    for at in range(0, len(data) - len(data) % width, width):
        yield registers.stack + at, int.from_bytes(data[at : at + width], "little")
