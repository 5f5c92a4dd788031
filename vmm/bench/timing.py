"""What an event takes on this host: interleaved rounds, each loop paired with an empty one in the same run.

Each round runs every contender once, every other round in reverse order, so that all see the same noise. A
contender's figure of one round is the time of its loop per event, less that of the empty loop just before;
shown are the median of the rounds and their spread.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from vmm.bench import qemu
from vmm.bench.kernel import Kernel
from vmm.bench.techniques import Technique
from vmm.bench.workbench import Workbench

QEMU = "qemu"
# Short enough that most rounds are not interrupted on a busy host, long beside the delay of QEMU's marks.
_LOOP_NS = 4_000_000
_FIRST, _MOST = 500, 1 << 24

Pair = tuple[int, int]
"""Of the empty loop, and of the event's."""
Timer = Callable[[Kernel, int], tuple[Pair, Pair]]
"""Host ns and cycles of so many events of a kernel."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Middle and ends of a series of measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of one value or more."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Timing:
    """Per event, less the empty loop; `samples` are the ns of each round."""

    ns: Spread
    cycles: Spread
    events: int
    samples: tuple[float, ...]

    def over(self, other: Timing) -> float | None:
        """Median of the ratios round by round, or None where noise is as large as one of the two."""
        if min(self.ns.low, other.ns.low) <= 0:
            return None
        return statistics.median(a / b for a, b in zip(self.samples, other.samples, strict=True))

    def as_json(self) -> dict[str, Any]:
        """For a report."""
        return asdict(self)


class Stopwatch:
    """Times kernels on a workbench and, if `qemu_program` is given, under QEMU."""

    def __init__(self, bench: Workbench, rounds: int, qemu_program: str | None = None) -> None:
        self._bench = bench
        self._rounds = rounds
        self._qemu = qemu_program
        self._counts: dict[tuple[str, str], int] = {}

    def time(
        self, kernel: Kernel, techniques: Sequence[Technique]
    ) -> tuple[Mapping[str, Timing], Mapping[str, str]]:
        """Timings by contender (techniques, and `QEMU`), and why a contender has none."""
        timers: dict[str, Timer] = {str(technique): self._ours(technique) for technique in techniques}
        missing: dict[str, str] = {}
        if self._qemu is not None:
            timers[QEMU] = self._theirs(self._qemu)
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in timers}
        for number in range(self._rounds):
            order = list(timers) if number % 2 == 0 else list(timers)[::-1]
            for name in order:
                if name in missing:
                    continue
                try:
                    samples[name].append(self._sample(name, timers[name], kernel))
                except qemu.NoSuchEventError as reason:
                    missing[name] = str(reason)
        timings = {
            name: self._timing(name, kernel, taken) for name, taken in samples.items() if name not in missing
        }
        return timings, missing

    def _sample(self, name: str, timer: Timer, kernel: Kernel) -> tuple[float, float]:
        count = self._count(name, timer, kernel)
        ns, cycles = timer(kernel, count)
        return (ns[1] - ns[0]) / count, (cycles[1] - cycles[0]) / count

    def _timing(self, name: str, kernel: Kernel, taken: Sequence[tuple[float, float]]) -> Timing:
        ns, cycles = zip(*taken, strict=True)
        return Timing(Spread.of(ns), Spread.of(cycles), self._counts[name, kernel.name], ns)

    def _count(self, name: str, timer: Timer, kernel: Kernel) -> int:
        """Events of a run: so many that the contender takes long enough to be measured."""
        if (name, kernel.name) not in self._counts:
            count = self._counts.get((Technique.TRAP, kernel.name), _FIRST)
            while count < _MOST and (spent := self._fastest(name, timer, kernel, count)) < _LOOP_NS:
                count = min(_MOST, count * max(2, min(32, _LOOP_NS // max(spent, 1) + 1)))
            self._counts[name, kernel.name] = count
        return self._counts[name, kernel.name]

    def _fastest(self, name: str, timer: Timer, kernel: Kernel, count: int) -> int:
        """ns of so many events. Ours run again where once was long enough: an interruption is no measure.
        QEMU, which starts from our count, is spared another boot."""
        spent = timer(kernel, count)[0][1]
        if spent < _LOOP_NS or name == QEMU:
            return spent
        return min(spent, *(timer(kernel, count)[0][1] for _ in range(2)))

    def _ours(self, technique: Technique) -> Timer:
        def timer(kernel: Kernel, count: int) -> tuple[Pair, Pair]:
            measured = self._bench.run(kernel, count, technique)
            return measured.ns, measured.cycles

        return timer

    def _theirs(self, program: str) -> Timer:
        return lambda kernel, count: qemu.run(program, self._bench.image(kernel, count, Technique.TRAP))
