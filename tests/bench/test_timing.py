"""Proves the arithmetic of timings: paired ratios, spreads, loops made long enough. No clock is looked at."""

from __future__ import annotations

from vmm.bench import timing
from vmm.bench.kernel import Kernel
from vmm.bench.techniques import Technique
from vmm.bench.timing import Spread, Stopwatch, Timing
from vmm.bench.workbench import Workbench

KERNEL = Kernel(name="made-up", text="", body="")


def of(*samples: float) -> Timing:
    return Timing(Spread.of(samples), Spread.of(samples), 1, samples)


def test_spread() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)


def test_ratio_is_taken_round_by_round() -> None:
    """Noise that doubles both in one round is not seen."""
    assert of(2.0, 4.0, 2.0).over(of(1.0, 2.0, 1.0)) == 2.0


def test_no_ratio_where_noise_is_as_large() -> None:
    assert of(-0.5, 1.0, 2.0).over(of(1.0, 1.0, 1.0)) is None
    assert of(1.0).over(of(0.0)) is None


class Fake(Stopwatch):
    """A host on which the empty loop takes 1 ns an iteration and the event's `event_ns`."""

    def __init__(self, bench: Workbench, event_ns: int) -> None:
        super().__init__(bench, 3)
        self.event_ns = event_ns
        self.counts: list[int] = []

    def _ours(self, technique: Technique) -> timing.Timer:
        def timer(kernel: Kernel, count: int) -> tuple[timing.Pair, timing.Pair]:
            self.counts.append(count)
            pair = count, count * (1 + self.event_ns)
            return pair, (3 * pair[0], 3 * pair[1])

        return timer


def test_the_empty_loop_is_subtracted_and_loops_are_long_enough() -> None:
    with Workbench() as bench:
        for event_ns in (1, 40, 5000):
            watch = Fake(bench, event_ns)
            timings, missing = watch.time(KERNEL, (Technique.TRAP,))
            found = timings["trap"]
            assert (found.ns, found.cycles.median) == (Spread(event_ns, event_ns, event_ns), 3 * event_ns)
            assert found.samples == (event_ns,) * 3
            assert found.events * (1 + event_ns) >= 4_000_000
            assert watch.counts[-3:] == [found.events] * 3
            assert not missing
