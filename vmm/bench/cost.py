"""A model of what an event costs a processor that runs the monitor.

Round figures of the order of what the monitor takes on a PC, chosen and not measured: they weigh the exact
counters into one number that is the same on every machine, so that a change shows as a number and its size.
They say nothing about one machine; the measured times do. What the *guest* sees of costs is something else:
csrc/cpu/cost.h, whose sum is `guest_ns`.
"""

from __future__ import annotations

from collections.abc import Mapping

CYCLES: Mapping[str, int] = {
    "instructions": 1,
    "monitor_entries": 10,  # there and back, and the work of a plain instruction
    "site_hits": 30,  # a rewritten instruction: its site, its operands, the end of its block
    "exceptions": 120,  # delivery through the guest's IDT, beside the entry
    "interrupts": 120,
    "tlb_fills": 60,  # a walk of the guest's page tables
    "tlb_flushes": 200,  # the engine's table is emptied
    "code_invalidations": 2000,  # a block is translated again
}
"""Cycles per unit of each counter."""


def cycles(counters: Mapping[str, int]) -> int:
    """Modelled cycles of a run with these counters."""
    return sum(weight * counters[name] for name, weight in CYCLES.items())
