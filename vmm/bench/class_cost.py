"""What one trap costs by its class: the cost model's figures for a rewritten instruction, and its own work.

`cost.py` weighs the counters of a whole run; this tells classes apart, on the same scale and as little
measured: round figures, the same on every machine, to rank sites and functions by. What has a counter there
weighs the same here: an instruction that delivers or returns from an exception, one that empties the TLB.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmm.bench.cost import CYCLES

ENTRY = CYCLES["monitor_entries"] + CYCLES["site_hits"]
"""Every trap: there and back, its operands, and the work of a plain instruction."""

_CHECKS = 60  # descriptors are read and checked, or a register has side effects
_DEVICE = 100  # the bus finds a chip, whose register it reads or writes
_DELIVERY = CYCLES["exceptions"]
_FLUSH = CYCLES["tlb_flushes"]

WORK: Mapping[str, int] = {
    "MSR": _CHECKS,
    "DR": _CHECKS,
    "XCR": _CHECKS,
    "SEGMENT": _CHECKS,
    "DESCRIPTOR_TABLE": _CHECKS,
    "DESCRIPTOR_CHECK": _CHECKS,
    "TASK": _CHECKS,
    "SYSCALL": _CHECKS,
    "TLB": CYCLES["tlb_fills"],
    "HYPERCALL": _DEVICE,
    "IO": _DEVICE,
    "STRING_IO": _DEVICE,
    "HALT": _DELIVERY,
    "INT": _DELIVERY,
    "IRET": _DELIVERY,
    "FAR_TRANSFER": _DELIVERY,
    "UNDEFINED": _DELIVERY,
    "CR": _FLUSH,
}
"""Cycles beyond `ENTRY`; a class that is not here has none."""


def cycles(class_name: str, traps: int = 1) -> int:
    """Modelled cycles of so many traps of a class."""
    return traps * (ENTRY + WORK.get(class_name, 0))
