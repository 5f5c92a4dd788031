"""The trap benchmark: every kernel by every technique, exact figures and times, as one report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vmm.bench import exact
from vmm.bench.kernel import Kernel
from vmm.bench.recipes import KERNELS
from vmm.bench.techniques import Technique, table, techniques
from vmm.bench.timing import QEMU, Stopwatch, Timing
from vmm.bench.workbench import Workbench
from vmm.errors import HostError, UsageError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One kernel by one technique; `qemu` is why QEMU has no time, if it was asked for and has none."""

    kernel: Kernel
    technique: Technique
    exact: exact.Exact
    time: Timing | None = None
    qemu_time: Timing | None = None
    qemu: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to measure: kernels and techniques, how often the exact figures (which must be equal), in how
    many rounds the times (none: 0), and where QEMU is, to be compared with."""

    kernels: tuple[Kernel, ...] = tuple(KERNELS.values())
    techniques: tuple[Technique, ...] = tuple(Technique)
    exact_runs: int = 1
    rounds: int = 0
    qemu_program: str | None = None


def classes(kernel: Kernel) -> tuple[str, ...]:
    """Classes of the instructions that a kernel exercises, or its group."""
    if not kernel.rows:
        return (kernel.group,)
    return tuple(dict.fromkeys(table()[row].class_name for row in kernel.rows))


def select(words: Sequence[str]) -> tuple[Kernel, ...]:
    """Kernels of the classes, groups, series, rows and names in `words`, all of them without a word;
    UsageError for one that is none."""
    if not words:
        return tuple(KERNELS.values())
    known = {word.lower() for kernel in KERNELS.values() for word in _words(kernel)}
    for word in words:
        if word.lower() not in known:
            raise UsageError(f"no class, instruction or kernel '{word}'; vmm bench traps --list shows them")
    wanted = {word.lower() for word in words}
    return tuple(kernel for kernel in KERNELS.values() if wanted & {word.lower() for word in _words(kernel)})


def _words(kernel: Kernel) -> tuple[str, ...]:
    return tuple(filter(None, (kernel.name, kernel.series, *kernel.rows, *classes(kernel))))


def measure(choice: Choice) -> Iterator[Row]:
    """Rows as they are measured; HostError if exact figures of two runs differ."""
    with Workbench() as bench:
        stopwatch = Stopwatch(bench, choice.rounds, choice.qemu_program)
        for kernel in choice.kernels:
            chosen = [one for one in techniques(kernel) if one in choice.techniques]
            figures = {technique: _exact(bench, kernel, technique, choice.exact_runs) for technique in chosen}
            timings, missing = stopwatch.time(kernel, chosen) if choice.rounds else ({}, {})
            for technique in chosen:
                yield Row(
                    kernel,
                    technique,
                    figures[technique],
                    timings.get(technique),
                    timings.get(QEMU),
                    missing.get(QEMU, ""),
                )


def _exact(bench: Workbench, kernel: Kernel, technique: Technique, runs: int) -> exact.Exact:
    first = exact.measure(bench, kernel, technique)
    for _ in range(runs - 1):
        again = exact.measure(bench, kernel, technique)
        if again != first:
            raise HostError(
                f"kernel {kernel.name} ({technique}): two runs differ: {_difference(first, again)}"
            )
    return first


def _difference(first: exact.Exact, again: exact.Exact) -> str:
    one, other = first.as_json(), again.as_json()
    return ", ".join(f"{key} {one[key]} and {other[key]}" for key in one if one[key] != other[key])


def report(rows: Sequence[Row]) -> dict[str, Any]:
    """Everything as plain data: what `--json` writes. Without times it can serve as a baseline."""
    kernels: dict[str, Any] = {}
    for row in rows:
        kernel = kernels.setdefault(
            row.kernel.name,
            {"text": row.kernel.text, "classes": list(classes(row.kernel)), "techniques": {}},
        )
        kernel["techniques"][str(row.technique)] = _technique_report(row)
        if row.qemu_time:
            kernel[QEMU] = row.qemu_time.as_json()
        elif row.qemu:
            kernel[QEMU] = {"none": row.qemu}
    return {"format": FORMAT, "events": exact.EVENTS, "kernels": kernels}


def _technique_report(row: Row) -> dict[str, Any]:
    report: dict[str, Any] = {"exact": row.exact.as_json()}
    if row.time:
        report["time"] = row.time.as_json()
    if row.time and row.qemu_time:
        report["ratio"] = row.time.over(row.qemu_time)
    return report
