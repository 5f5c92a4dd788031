"""Proves that the MP table is found and read as the specification says, by a small reader of its own."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.errors import UsageError
from vmm.loader.acpi import mptable, wiring

ENTRY_SIZES = {0: 20, 1: 8, 2: 8, 3: 8, 4: 8}


class Interrupt(NamedTuple):
    kind: int
    flags: int
    bus: int
    line: int
    apic: int
    pin: int


def read(cpus: int) -> list[bytes]:
    """Entries of the table for `cpus` processors, found through the floating pointer."""
    (base, pointer, _), (address, table, _) = mptable.build(cpus)
    assert base % 16 == 0
    assert 0xF0000 <= base < 0x100000
    assert pointer[:4] == b"_MP_"
    assert len(pointer) == 16 * pointer[8]
    assert sum(pointer) & 0xFF == 0
    assert struct.unpack_from("<I", pointer, 4)[0] == address
    assert table[:4] == b"PCMP"
    assert struct.unpack_from("<H", table, 4)[0] == len(table)
    assert sum(table) & 0xFF == 0
    entries, at = [], 44
    while at < len(table):
        entries.append(table[at : at + ENTRY_SIZES[table[at]]])
        at += ENTRY_SIZES[table[at]]
    assert at == len(table)
    assert len(entries) == struct.unpack_from("<H", table, 34)[0]
    return entries


def interrupts(entries: list[bytes], kind: int) -> list[Interrupt]:
    return [Interrupt(*struct.unpack_from("<BHBBBB", entry, 1)) for entry in entries if entry[0] == kind]


@given(st.integers(1, wiring.MAX_CPUS))
def test_processors_are_enabled_and_the_first_boots(cpus: int) -> None:
    entries = read(cpus)
    assert [entry[0] for entry in entries] == sorted(entry[0] for entry in entries)
    processors = [(entry[1], entry[3]) for entry in entries if entry[0] == 0]
    assert processors == [(cpu, 3 if cpu == 0 else 1) for cpu in range(cpus)]


def test_each_ioapic_pin_has_one_trigger_mode() -> None:
    io = interrupts(read(4), 3)
    pins = {bus: {entry.pin for entry in io if entry.bus == bus} for bus in (0, 1)}
    assert pins[0] == {9, 10, 11}
    assert pins[0].isdisjoint(pins[1])
    assert pins[0] | pins[1] == set(range(1, 16))
    assert all(entry.apic == wiring.ioapic_id(4) for entry in io)


def test_timer_is_on_pin_2() -> None:
    (timer,) = [entry for entry in interrupts(read(1), 3) if entry.bus == 1 and entry.line == 0]
    assert timer.pin == 2


def test_local_interrupts() -> None:
    ext_int, nmi = interrupts(read(1), 4)
    assert (ext_int.kind, ext_int.apic, ext_int.pin) == (3, 0, 0)
    assert (nmi.kind, nmi.apic, nmi.pin) == (1, 0xFF, 1)


@pytest.mark.parametrize(("cpus", "base"), [(0, 0xF0000), (65, 0xF0000), (1, 0xF0008)])
def test_impossible_request_is_refused(cpus: int, base: int) -> None:
    with pytest.raises(UsageError):
        mptable.build(cpus, base)
