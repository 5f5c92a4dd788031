"""Proves the sentence a dead guest gets, and how events and exceptions read."""

from __future__ import annotations

import pytest

from vmm.machine.backtrace import return_addresses
from vmm.machine.cause import cause_of, last_exceptions
from vmm.machine.disassembly import disassemble
from vmm.machine.trace import event_line
from vmm.machine.vectors import exception_text
from vmm.monitor import REGISTER_NAMES, Exit, ExitReason, Registers, Request, Segment, TraceEvent, TraceKind

LONG_CODE, BIG_CODE = 1 << 21, 1 << 22
LMA = 1 << 10


def registers(rip: int = 0x1000, bits: int = 64, **general: int) -> Registers:
    flags = {64: LONG_CODE, 32: BIG_CODE, 16: 0}[bits]
    flat = Segment(8, 0, 0xFFFFFFFF, flags)
    names = ("es", "cs", "ss", "ds", "fs", "gs", "ldt", "tr", "gdt", "idt")
    return Registers(
        general={name: general.get(name, 0) for name in REGISTER_NAMES},
        rip=rip,
        rflags=2,
        cr=dict.fromkeys((0, 2, 3, 4, 8), 0),
        efer=LMA if bits == 64 else 0,
        dr=(0,) * 8,
        segments=dict.fromkeys(names, flat),
        cpl=0,
        state="running",
        instructions=1,
    )


def exception(vector: int, rip: int = 0x1000, cpu: int = 0, detail: int = 0) -> TraceEvent:
    return TraceEvent(0, TraceKind.EXCEPTION, cpu, rip, vector, detail)


def triple_fault(cpu: int = 0) -> Exit:
    return Exit(ExitReason.TRIPLE_FAULT, Request.NONE, 0, cpu)


def code(_address: int, length: int) -> bytes:
    return (b"\x0f\x0b" * length)[:length]


def nothing(_address: int, _length: int) -> bytes:
    return b""


def test_triple_fault_names_its_chain() -> None:
    events = [exception(3, rip=0x500), exception(14, detail=0x123 << 32 | 2), exception(8)]
    assert cause_of(triple_fault(), registers(), events, code) == (
        "triple fault: #PF(code 0x2, address …00000123) -> #DF(0x0) at 0x1000"
    )


def test_triple_fault_without_a_record() -> None:
    assert cause_of(triple_fault(), registers(), [], code) == "triple fault at 0x1000"


@pytest.mark.parametrize("vector", [6, 14])
def test_jump_into_nothing(vector: int) -> None:
    cause = cause_of(triple_fault(), registers(), [exception(vector)], nothing)
    assert cause.startswith("jump into nothing: 0x1000 is no memory; triple fault: ")


def test_jump_into_ff_bytes() -> None:
    cause = cause_of(triple_fault(), registers(), [exception(6)], lambda _, length: b"\xff" * length)
    assert cause.startswith("jump into nothing: 0x1000 holds only FF bytes; ")


def test_general_protection_in_no_memory_is_no_jump() -> None:
    cause = cause_of(triple_fault(), registers(), [exception(13)], nothing)
    assert cause == "triple fault: #GP(0x0) at 0x1000"


@pytest.mark.parametrize(
    ("reason", "words"),
    [(ExitReason.HALTED, "halted for ever"), (ExitReason.IDLE, "waits for input that will never come")],
)
def test_silent_deaths(reason: ExitReason, words: str) -> None:
    assert cause_of(Exit(reason, Request.NONE, 0, 0), registers(), [], code).startswith(words)


def test_chain_is_one_cpus_and_ends_at_other_events() -> None:
    trap = TraceEvent(0, TraceKind.TRAP, 1, 0x1000, 0, 0)
    events = [exception(6, cpu=1), trap, exception(13, cpu=1), exception(14, cpu=0), exception(8, cpu=1)]
    assert [event.b for event in last_exceptions(events, 1)] == [13, 8]


def test_exception_text() -> None:
    assert exception_text(13, 0x10) == "#GP(0x10)"
    assert exception_text(6, 0) == "#UD"
    assert exception_text(21, 0) == "vector 21"


@pytest.mark.parametrize("kind", list(TraceKind))
@pytest.mark.parametrize("numbers", [0, 0xFFFF_FFFF_FFFF_FFFF])
def test_every_event_reads_as_one_line(kind: TraceKind, numbers: int) -> None:
    line = event_line(TraceEvent(1_500_000_000, kind, 3, numbers, numbers, numbers))
    assert line.startswith("   1.500000000 cpu3 ")
    assert "\n" not in line


def test_unclaimed_write_to_memory() -> None:
    event = TraceEvent(0, TraceKind.UNCLAIMED, 0, 0xF8000000, 0x12, 0x304)
    assert event_line(event).endswith("unclaimed address write32 0xf8000000 <- 0x12")


def test_backtrace_follows_sane_frames_only() -> None:
    stack = {0x8000: (0x8020, 0x1111), 0x8020: (0x8010, 0x2222), 0x8010: (0, 0x3333)}

    def read(address: int, length: int) -> bytes:
        words = stack.get(address)
        return b"".join(word.to_bytes(8, "little") for word in words)[:length] if words else b"\x90" * length

    start = registers(rsp=0x7FF0, rbp=0x8000)
    assert list(return_addresses(start, read)) == [0x1111, 0x2222]
    assert list(return_addresses(registers(rsp=0x7FF0, rbp=0x8001), read)) == []
    assert list(return_addresses(registers(rsp=0x7FF0, rbp=0x8000), nothing)) == []


def test_backtrace_of_a_ring_of_frames_ends() -> None:
    def read(address: int, length: int) -> bytes:
        return (address.to_bytes(8, "little") * 2)[:length]

    assert len(list(return_addresses(registers(rsp=0x8000, rbp=0x8000), read))) == 1


def test_disassembly_goes_on_behind_bad_bytes() -> None:
    found = disassemble(b"\x06\xf4\x0f", 0x10, 64, 8)
    assert [(one.address, one.text) for one in found] == [(0x10, "(bad)"), (0x11, "hlt"), (0x12, "(bad)")]
