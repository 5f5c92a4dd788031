"""The trap kernels under pytest-benchmark, for its JSON and its comparison of one run with an earlier one.

`pytest bench --benchmark-autosave`, later `pytest bench --benchmark-compare --benchmark-compare-fail=…`; `-k
cpuid` for one kernel. Each figure is the time of `EVENTS` events with their loop; the exact figures go with
it as `extra_info`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vmm.bench import exact
from vmm.bench.kernel import Kernel
from vmm.bench.recipes import KERNELS
from vmm.bench.skeleton import MARKS
from vmm.bench.techniques import Technique, techniques
from vmm.bench.workbench import Workbench, reach, verify
from vmm.machine import Machine

EVENTS = 20_000
ROUNDS = 5
CASES = [(kernel, technique) for kernel in KERNELS.values() for technique in techniques(kernel)]


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as one:
        yield one


@pytest.mark.parametrize(
    ("kernel", "technique"), CASES, ids=[f"{kernel.name}-{technique}" for kernel, technique in CASES]
)
def test_trap(benchmark: Any, bench: Workbench, kernel: Kernel, technique: Technique) -> None:
    """From the mark in the middle to that at the end."""

    def set_up() -> tuple[tuple[Machine], dict[str, Any]]:
        machine = bench.machine(kernel, EVENTS, technique)
        for mark in MARKS[:-1]:
            reach(machine, kernel, mark)
        return (machine,), {}

    def tear_down(machine: Machine) -> None:
        verify(machine, kernel)
        machine.close()

    benchmark.group = kernel.name
    figures = exact.measure(bench, kernel, technique)
    benchmark.extra_info.update(technique=str(technique), events=EVENTS, exact=figures.as_json())
    benchmark.pedantic(
        lambda machine: reach(machine, kernel, MARKS[-1]), setup=set_up, teardown=tear_down, rounds=ROUNDS
    )
    assert figures.counters["instructions"] >= 0
