"""Proves that the trap micro-kernels are complete and right: every row of the instruction table has one,
every kernel's event happens as often as it says, and its exact figures are equal each time and those of the
baseline."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.guests_build import ROOT
from vmm.bench import baseline, exact, traps
from vmm.bench.kernel import EMPTY, EMPTY_USER, NANOBENCHMARK, Kernel
from vmm.bench.recipes import KERNELS, WITHOUT_KERNEL
from vmm.bench.techniques import Technique, table, techniques
from vmm.bench.workbench import Workbench
from vmm.errors import HostError

NANOBENCHMARKS = {"syscall", "in", "cr8wr", "callret", "pgfault", "divzero", "ptemod"}
RUNS = 100 if os.environ.get("VMM_FUZZ") == "long" else 2


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as one:
        yield one


def figures(bench: Workbench, name: str, technique: Technique = Technique.TRAP) -> exact.Exact:
    return exact.measure(bench, KERNELS[name], technique)


def test_every_row_of_the_table_has_a_kernel_or_a_reason() -> None:
    exercised = {row for kernel in KERNELS.values() for row in kernel.rows}
    assert exercised | WITHOUT_KERNEL.keys() == table().keys()
    assert not exercised & WITHOUT_KERNEL.keys()
    assert all(len(reason) > 20 for reason in WITHOUT_KERNEL.values())


def test_every_class_of_the_table_has_a_kernel() -> None:
    shown = {name for kernel in KERNELS.values() for name in traps.classes(kernel)}
    assert {row.class_name for row in table().values()} <= shown


def test_the_nanobenchmarks_of_adams_and_agesen_are_there() -> None:
    assert {kernel.name for kernel in traps.select([NANOBENCHMARK])} == NANOBENCHMARKS


def test_the_baseline_is_met_and_runs_are_equal() -> None:
    """Each run of a kernel has also checked that its events happened."""
    rows = list(traps.measure(traps.Choice(exact_runs=RUNS)))
    findings = baseline.compare(baseline.load(ROOT / "bench" / "baseline.json"), traps.report(rows))
    assert [finding.text for finding in findings] == []


@pytest.mark.parametrize("kernel", [EMPTY, EMPTY_USER], ids=lambda kernel: kernel.name)
def test_the_empty_loop_is_nothing(bench: Workbench, kernel: Kernel) -> None:
    found = exact.measure(bench, kernel, Technique.TRAP)
    assert set(found.counters.values()) == {0}
    assert not found.traps and not found.sites


@pytest.mark.parametrize(
    ("name", "trap", "native"),
    [
        ("cpuid", 1, 1),
        ("cli", 1, 0),
        ("irq-save", 3, 0),
        ("wbinvd", 1, 0),
        ("lapic-read", 1, 1),
        ("int-n", 2, 1),
    ],
)
def test_monitor_entries_per_event(bench: Workbench, name: str, trap: int, native: int) -> None:
    entries = [
        figures(bench, name, one).counters["monitor_entries"] for one in (Technique.TRAP, Technique.NATIVE)
    ]
    assert entries == [trap * exact.EVENTS, native * exact.EVENTS]


def test_inline_forms_never_enter_the_monitor(bench: Workbench) -> None:
    for name in ("pause", "wbinvd", "invd"):
        assert Technique.INLINE in techniques(KERNELS[name])
        assert figures(bench, name, Technique.INLINE).counters["monitor_entries"] == 0


def test_interrupts_and_exceptions_are_counted(bench: Workbench) -> None:
    assert figures(bench, "timer").counters["interrupts"] == exact.EVENTS
    assert figures(bench, "self-ipi-x2apic").counters["interrupts"] == exact.EVENTS
    assert figures(bench, "pgfault").counters["exceptions"] == exact.EVENTS
    assert figures(bench, "int-n").traps["INT"] == exact.EVENTS


def test_sites_are_named(bench: Workbench) -> None:
    (site,) = figures(bench, "cpuid").sites
    assert str(site) == "event+0x2 CPUID (0fa2) of class CPUID"
    assert site.hits == exact.EVENTS
    assert [one.place for one in figures(bench, "pgfault").sites] == ["handler+0x10c"]


def test_a_kernel_whose_event_does_not_happen_is_refused(bench: Workbench) -> None:
    with pytest.raises(HostError, match=r"idle.* did not happen 1 times each"):
        bench.run(Kernel(name="idle", text="", body="nop", faults=1), 10, Technique.TRAP)


def test_a_kernel_that_dies_is_refused(bench: Workbench) -> None:
    with pytest.raises(HostError, match=r"dies.* took an exception"):
        bench.run(Kernel(name="dies", text="", body="ud2"), 10, Technique.TRAP)


def test_a_recipe_that_cannot_be_assembled_is_named(bench: Workbench) -> None:
    with pytest.raises(HostError, match=r"micro-kernel bad: 64-bit code .*Keystone"):
        bench.run(Kernel(name="bad", text="", body="frobnicate"), 10, Technique.TRAP)
