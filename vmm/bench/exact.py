"""Exact figures of a kernel: equal in every run on every machine.

They are the counters' growth over `EVENTS` events after a warm-up, less that of the empty loop. Totals, not
means: what happens once in a thousand events shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from vmm.bench import cost
from vmm.bench.kernel import Kernel
from vmm.bench.skeleton import place_of
from vmm.bench.techniques import Technique
from vmm.bench.workbench import Measured, Workbench
from vmm.monitor import Stats

EVENTS = 1000
_PLAIN = (
    *("instructions", "monitor_entries", "nmis", "mmio", "tlb_fills", "tlb_flushes", "code_invalidations"),
    *("unclaimed_reads", "unclaimed_writes"),
)
_OURS = ("event", "entry", "handler", "page")


@dataclass(frozen=True, slots=True)
class SiteHits:
    """Traps of one rewritten instruction of the kernel: `place` is `event+0x2`, `code` its bytes."""

    place: str
    instruction: str
    class_name: str
    code: str
    hits: int

    def __str__(self) -> str:
        return f"{self.place} {self.instruction} ({self.code}) of class {self.class_name}"


@dataclass(frozen=True, slots=True)
class Exact:
    """Totals over `EVENTS` events. `counters` has the plain ones, `exceptions` and `interrupts` (all
    vectors), `guest_ns` (VM time), `site_hits` and `cycles` (cost.py); `traps` is by class of instruction."""

    counters: Mapping[str, int]
    traps: Mapping[str, int]
    sites: tuple[SiteHits, ...]

    def as_json(self) -> dict[str, Any]:
        """For a report and for the baseline."""
        sites = {
            f"{site.place} {site.instruction}": {
                "class": site.class_name,
                "bytes": site.code,
                "hits": site.hits,
            }
            for site in self.sites
        }
        return {**self.counters, "traps": dict(self.traps), "sites": sites}

    @classmethod
    def of(cls, measured: Measured) -> Self:
        """Figures of a run: those of the event's loop less those of the empty one."""
        counters, traps = growth(measured.middle.stats, measured.end.stats)
        empty_counters, empty_traps = growth(measured.begin.stats, measured.middle.stats)
        counters = {name: value - empty_counters[name] for name, value in counters.items()}
        sites = _site_hits(measured)
        counters["site_hits"] = sum(site.hits for site in sites)
        counters["cycles"] = cost.cycles(counters)
        names = sorted(traps.keys() | empty_traps.keys())
        less = {name: traps.get(name, 0) - empty_traps.get(name, 0) for name in names}
        return cls(counters, {name: count for name, count in less.items() if count}, sites)


def measure(bench: Workbench, kernel: Kernel, technique: Technique) -> Exact:
    """Exact figures of a kernel."""
    return Exact.of(bench.run(kernel, EVENTS, technique))


def growth(before: Stats, after: Stats) -> tuple[dict[str, int], dict[str, int]]:
    """What was counted between two looks: the counters, and traps by class."""
    counters = {name: getattr(after, name) - getattr(before, name) for name in _PLAIN}
    counters["exceptions"] = sum(after.exceptions.values()) - sum(before.exceptions.values())
    counters["interrupts"] = sum(after.interrupts.values()) - sum(before.interrupts.values())
    counters["guest_ns"] = after.vm_ns - before.vm_ns
    traps = {name: count - before.traps.get(name, 0) for name, count in after.traps.items()}
    return counters, {name: count for name, count in traps.items() if count}


def _site_hits(measured: Measured) -> tuple[SiteHits, ...]:
    before = {(site.pc, site.code): site.hits for site in measured.middle.sites}
    found = []
    for site in sorted(measured.end.sites, key=lambda one: one.pc):
        place = place_of(site.pc)
        hits = site.hits - before.get((site.pc, site.code), 0)
        if hits and place.partition("+")[0] in _OURS:
            found.append(SiteHits(place, site.mnemonic, site.class_name, site.code.hex(), hits))
    return tuple(found)
