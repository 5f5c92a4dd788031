"""Trap tables as text: figures per event, and what each technique saves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vmm.bench.exact import EVENTS
from vmm.bench.techniques import Technique
from vmm.bench.timing import Timing
from vmm.bench.traps import Row, classes

_EXACT = ("kernel", "technique", "class", "instr", "entries", "hits", "irqs", "guest ns", "model cycles")
_TIME = ("ns", "low..high", "host cycles")
_QEMU = ("qemu ns", "ratio")
SAVINGS = (
    "Monitor entries / modelled cycles / ns where measured, per event, and what that saves of the cycles:"
)


def table(rows: Sequence[Row]) -> str:
    """The figures of every row per event."""
    timed = any(row.time for row in rows)
    compared = any(row.qemu_time or row.qemu for row in rows)
    lines = [(*_EXACT, *(_TIME if timed else ()), *(_QEMU if compared else ()))]
    for row in rows:
        cells = _exact_cells(row)
        if timed:
            cells += _time_cells(row.time)
        if compared:
            cells += _qemu_cells(row)
        lines.append(cells)
    return _aligned(lines, left=3)


def missing(rows: Sequence[Row]) -> str:
    """Kernels whose event QEMU has not, by what it does instead."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.qemu and row.kernel.name not in reasons.setdefault(row.qemu, []):
            reasons[row.qemu].append(row.kernel.name)
    return "".join(
        f"No time under QEMU, because {reason}: {', '.join(names)}\n" for reason, names in reasons.items()
    )


def savings(rows: Sequence[Row]) -> str:
    """What each technique takes, for kernels with more than one: monitor entries, modelled cycles and, where
    measured, ns per event."""
    by_kernel: dict[str, dict[Technique, Row]] = {}
    for row in rows:
        by_kernel.setdefault(row.kernel.name, {})[row.technique] = row
    lines = [("kernel", *(str(technique) for technique in Technique))]
    for name, found in by_kernel.items():
        if len(found) > 1:
            first = next(iter(found.values()))
            lines.append((name, *(_summary(found.get(technique), first) for technique in Technique)))
    return _aligned(lines, left=1) if len(lines) > 1 else ""


def per_event(total: int) -> str:
    """A total over all events as a mean: whole where it is whole."""
    return str(total // EVENTS) if total % EVENTS == 0 else f"{total / EVENTS:.3f}"


def _exact_cells(row: Row) -> tuple[str, ...]:
    counters = row.exact.counters
    return (
        *(row.kernel.name, str(row.technique), "+".join(classes(row.kernel))),
        *(per_event(counters[name]) for name in ("instructions", "monitor_entries")),
        *(per_event(counters["site_hits"]), per_event(counters["interrupts"])),
        *(per_event(counters[name]) for name in ("guest_ns", "cycles")),
    )


def _time_cells(time: Timing | None) -> tuple[str, ...]:
    if time is None:
        return ("-", "-", "-")
    return (f"{time.ns.median:.1f}", f"{time.ns.low:.1f}..{time.ns.high:.1f}", f"{time.cycles.median:.0f}")


def _qemu_cells(row: Row) -> tuple[str, ...]:
    if row.qemu_time is None:
        return "-", "-"
    theirs = row.qemu_time.ns.median
    ratio = row.time.over(row.qemu_time) if row.time else None
    return f"{theirs:.1f}", "-" if ratio is None else f"{ratio:.2f}"


def _summary(row: Row | None, first: Row) -> str:
    if row is None:
        return "-"
    figures = [per_event(row.exact.counters[name]) for name in ("monitor_entries", "cycles")]
    text = " / ".join([*figures, f"{row.time.ns.median:.1f}"] if row.time else figures)
    before = first.exact.counters["cycles"]
    if row is first or before == 0:
        return text
    return f"{text} {(row.exact.counters['cycles'] - before) / before:+5.0%}"


def _aligned(lines: Iterable[Sequence[str]], left: int) -> str:
    rows = [tuple(line) for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "".join(_line(row, widths, left) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = [
        f"{cell:<{width}}" if column < left else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip() + "\n"
