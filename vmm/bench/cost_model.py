"""What one entry into the monitor costs, as a model: processor cycles by class of instruction.

The figures are chosen, not measured: an entry and exit of the monitor, and on top what its work for the class
is worth, in round numbers of the order that binary translation has on PC hardware. They are the same on every
machine, which is what they are for: two runs, two images or two policies compare exactly, and a report ranks
sites by more than their number. How long this monitor takes on this host is measured, never modelled.
"""

from __future__ import annotations

ENTRY = 200
"""Leaving translated code for the monitor and coming back."""

_LIGHT, _MODERATE, _HEAVY, _DEVICE, _MODE = 50, 150, 400, 800, 1200

WORK: dict[str, int] = {
    "CPUID": _LIGHT,
    "RDTSC": _LIGHT,
    "RDPMC": _LIGHT,
    "RANDOM": _LIGHT,
    "MSW": _LIGHT,
    "INTERRUPT_FLAG": _LIGHT,
    "PUSHF_POPF": _LIGHT,
    "PAUSE": _LIGHT,
    "CACHE": _LIGHT,
    "SMAP": _LIGHT,
    "FSGSBASE": _LIGHT,
    "SWAPGS": _LIGHT,
    "DESCRIPTOR_CHECK": _MODERATE,
    "SEGMENT": _MODERATE,
    "MSR": _MODERATE,
    "DR": _MODERATE,
    "XCR": _MODERATE,
    "TLB": _MODERATE,
    "SYSCALL": _MODERATE,
    "HYPERCALL": _MODERATE,
    "UNDEFINED": _HEAVY,
    "DESCRIPTOR_TABLE": _HEAVY,
    "TASK": _HEAVY,
    "INT": _HEAVY,
    "IRET": _HEAVY,
    "FAR_TRANSFER": _HEAVY,
    "HALT": _HEAVY,
    "MONITOR_MWAIT": _HEAVY,
    "XSTATE": _HEAVY,
    "IO": _DEVICE,
    "STRING_IO": _DEVICE,
    "CR": _MODE,
}
"""Cycles beyond `ENTRY`. CR is dear because a new CR3 or mode costs translations."""


def cycles(class_name: str, entries: int = 1) -> int:
    """Modelled cycles of so many entries; a class without a figure of its own counts as moderate work."""
    return entries * (ENTRY + WORK.get(class_name, _MODERATE))
