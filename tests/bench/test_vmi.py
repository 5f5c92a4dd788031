"""Proves the paravirtual page: one image runs on a bare machine and under the monitor, saves monitor entries
there, and gives the guest nothing it did not have."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guests_build import ROOT
from vmm.bench import exact
from vmm.bench import layout as at
from vmm.bench.calls import ENTRY_BYTES, LEAF, NATIVE, native_page
from vmm.bench.kernel import Kernel
from vmm.bench.recipes import KERNELS
from vmm.bench.recipes.parts import GP, PF, UD, skip
from vmm.bench.techniques import Technique
from vmm.bench.workbench import Workbench

HEADER = (ROOT / "csrc" / "cpu" / "vmi.h").read_text()
MSR = 0x40000080
WRITE_MSRS, PORTS = "mov eax, 0x564d4901", "mov eax, 0x564d4902"
LIST = at.SCRATCH + 0x100


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as one:
        yield one


def test_the_numbers_are_those_of_the_monitor() -> None:
    entries = {name.lower(): int(number) for name, number in re.findall(r"VMI_(\w+) = (\d+),", HEADER)}
    assert entries.pop("entries") == len(NATIVE)
    assert entries == {name: number for number, name in enumerate(NATIVE)}
    assert f"VMI_ENTRY_BYTES {ENTRY_BYTES}u" in HEADER
    assert f"VMI_LEAF {LEAF:#x}u" in HEADER
    assert f"VMI_MSR {MSR:#x}u" in HEADER


def test_no_entry_of_the_bare_page_is_too_long() -> None:
    assert len(native_page()) == ENTRY_BYTES * len(NATIVE)


@pytest.mark.parametrize("name", [kernel.name for kernel in KERNELS.values() if kernel.paravirtual])
def test_the_page_never_takes_more_entries_than_traps(bench: Workbench, name: str) -> None:
    trap, paravirtual = (
        exact.measure(bench, KERNELS[name], technique).counters["monitor_entries"]
        for technique in (Technique.TRAP, Technique.PARAVIRTUAL)
    )
    assert paravirtual <= trap


@pytest.mark.parametrize(
    ("name", "entries"), [("irq-save", 0), ("invlpg", 0), ("wrmsr-list", 1), ("pci-config", 1)]
)
def test_what_the_page_saves(bench: Workbench, name: str, entries: int) -> None:
    found = exact.measure(bench, KERNELS[name], Technique.PARAVIRTUAL)
    assert found.counters["monitor_entries"] == entries * exact.EVENTS


def test_a_list_of_msrs_is_written(bench: Workbench) -> None:
    """The kernel's own check: R14 must be what the GS base was set to, once per event."""
    setup = f"mov ebx, {LIST:#x}; mov eax, 0xc0000101; mov qword ptr [rbx], rax; mov qword ptr [rbx+8], 0"
    body = (
        f"inc qword ptr [rbx+8]; mov rdi, rbx; mov esi, 1; {WRITE_MSRS}; vmcall; "
        "mov ecx, 0xc0000101; rdmsr; cmp eax, dword ptr [rbx+8]; jne bad; inc r14; bad: nop"
    )
    kernel = Kernel(name="list", text="", body="", setup=setup, paravirtual=body, faults=1)
    bench.run(kernel, 100, Technique.PARAVIRTUAL)


def test_a_list_of_ports_reads_what_an_instruction_reads(bench: Workbench) -> None:
    setup = (
        f"mov ebx, {LIST:#x}; mov dword ptr [rbx], 0x10cf8; mov dword ptr [rbx+4], 0x80000000; "
        "mov dword ptr [rbx+8], 0xcfc; mov edx, 0xcf8; mov eax, 0x80000000; out dx, eax; "
        "mov edx, 0xcfc; in eax, dx; mov r12, rax"
    )
    body = (
        f"mov dword ptr [rbx+12], 0; mov rdi, rbx; mov esi, 2; {PORTS}; vmcall; "
        "cmp r12d, dword ptr [rbx+12]; jne bad; inc r14; bad: nop"
    )
    kernel = Kernel(name="ports", text="", body="", setup=setup, paravirtual=body, faults=1)
    bench.run(kernel, 100, Technique.PARAVIRTUAL)


def refused(name: str, vector: int, *, body: str, setup: str = "", level: int = 0, tail: int = 3) -> Kernel:
    """A kernel whose last instruction, of `tail` bytes, must raise `vector`."""
    handler = skip(tail, error=vector in (GP, PF))
    return Kernel(
        name=name,
        text="",
        body=body,
        paravirtual=body,
        setup=setup,
        handlers=((vector, handler),),
        faults=1,
        level=level,
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(at.PAGE | 3, id="reserved bit"),
        pytest.param(at.PAGE, id="not enabled"),
        pytest.param(0x7FFFF001, id="beyond RAM"),
        pytest.param(at.LAPIC | 1, id="a chip"),
        pytest.param(0xFFFFF001, id="ROM"),
    ],
)
def test_what_is_no_page_of_ram_is_refused(bench: Workbench, value: int) -> None:
    body = f"mov ecx, {MSR:#x}; mov eax, {value:#x}; xor edx, edx; wrmsr"
    bench.run(refused("page", GP, body=body, tail=2), 10, Technique.TRAP)


def test_the_msr_reads_back_and_lets_go(bench: Workbench) -> None:
    body = (
        f"mov ecx, {MSR:#x}; mov eax, {at.PAGE + 1:#x}; xor edx, edx; wrmsr; rdmsr; "
        f"cmp eax, {at.PAGE + 1:#x}; jne bad; xor eax, eax; wrmsr; rdmsr; test eax, eax; jnz bad; inc r14; "
        "bad: nop"
    )
    bench.run(Kernel(name="msr", text="", body=body, faults=1), 10, Technique.TRAP)


REFUSALS = (
    refused("too-long", GP, body=f"mov edi, {LIST:#x}; mov esi, 65; {WRITE_MSRS}; vmcall"),
    refused("wraps", GP, body=f"mov rdi, -16; mov esi, 2; {WRITE_MSRS}; vmcall"),
    refused("absent", PF, body=f"mov rdi, {at.TEST + 0x1000:#x}; mov esi, 1; {WRITE_MSRS}; vmcall"),
    refused(
        "unknown-msr",
        GP,
        body=f"mov edi, {LIST:#x}; mov dword ptr [rdi], 0x999; mov esi, 1; {WRITE_MSRS}; vmcall",
    ),
    refused("no-such-call", UD, body="mov eax, 0x564d4903; vmcall"),
    refused("user", UD, body=f"mov edi, {LIST:#x}; xor esi, esi; {WRITE_MSRS}; vmcall", level=3),
)


@pytest.mark.parametrize("kernel", REFUSALS, ids=lambda kernel: kernel.name)
def test_bad_calls_fault_in_the_guest(bench: Workbench, kernel: Kernel) -> None:
    bench.run(kernel, 10, Technique.PARAVIRTUAL)


def test_without_a_page_there_are_no_calls(bench: Workbench) -> None:
    body = f"mov edi, {LIST:#x}; xor esi, esi; {WRITE_MSRS}; vmcall"
    bench.run(refused("none", UD, body=body), 10, Technique.TRAP)


def test_guest_code_on_the_page_is_scanned_like_any_other(bench: Workbench) -> None:
    """CPUID must trap whoever put it there; CLI need not."""
    place = at.PAGE + 0x800
    setup = f"mov ebx, {place:#x}; mov dword ptr [rbx], 0xfaa20f; mov byte ptr [rbx+3], 0xc3"
    kernel = Kernel(name="own", text="", body="", setup=setup, paravirtual=f"call {place:#x}")
    found = exact.measure(bench, kernel, Technique.PARAVIRTUAL)
    assert [(site.place, site.class_name, site.hits) for site in found.sites] == [
        ("page+0x800", "CPUID", exact.EVENTS)
    ]


ADDRESSES = st.one_of(
    st.sampled_from([0, LIST, at.PAGE, at.TEST + 0xFF8, at.TEST + 0x1000, at.LAPIC, 0x7FFFFFFFFFF8, 1 << 63]),
    st.integers(0, (1 << 64) - 1),
)
CALLS = st.lists(
    st.tuples(st.integers(0, 3), ADDRESSES, st.one_of(st.integers(0, 66), st.integers(0, (1 << 64) - 1))),
    min_size=1,
    max_size=12,
)
LISTS = st.lists(
    st.one_of(
        st.sampled_from([0xC0000100, 0x1B, 0x808, MSR, 0x80000000_00010CF8, 0x10042, 0x100E9]),
        st.integers(0, (1 << 64) - 1),
    ),
    max_size=16,
)


@settings(max_examples=2000 if os.environ.get("VMM_FUZZ") == "long" else 25, deadline=None)
@given(calls=CALLS, words=LISTS)
def test_no_call_harms_the_host(
    bench: Workbench, calls: list[tuple[int, int, int]], words: list[int]
) -> None:
    """Whatever a guest passes, it lives or dies as a guest does."""
    setup = f"mov ebx, {LIST:#x}; " + "; ".join(
        f"mov rax, {word:#x}; mov qword ptr [rbx+{8 * number}], rax" for number, word in enumerate(words)
    )
    body = "; ".join(
        f"mov rdi, {address:#x}; mov rsi, {length:#x}; mov eax, {0x564D4900 + number:#x}; vmcall"
        for number, address, length in calls
    )
    handlers = tuple((vector, skip(3, error=vector != UD)) for vector in (UD, GP, PF))
    kernel = Kernel(name="fuzz", text="", body="", setup=setup, paravirtual=body, handlers=handlers)
    with bench.machine(kernel, 3, Technique.PARAVIRTUAL) as machine:
        assert machine.run(timeout=1).outcome in {"debug-exit", "timeout", "died", "reset", "poweroff"}
