"""The ways one kernel can be treated, side by side: trap, inline, native, paravirtual."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from vmm.bench.kernel import Kernel
from vmm.monitor import library
from vmm.sbe.insn_table import Insn, InsnTable


class Technique(StrEnum):
    """`trap`: every sensitive instruction that may trap does (profile full). `inline`: those that have an
    inline form run it instead. `native`: those that may run as they are do. `paravirtual`: the kernel calls
    the hypercall page where it would execute them; everything else as `trap`."""

    TRAP = "trap"
    INLINE = "inline"
    NATIVE = "native"
    PARAVIRTUAL = "paravirtual"


@cache
def table() -> Mapping[str, Insn]:
    """The instruction table by row."""
    return InsnTable(*library()).by_id


def techniques(kernel: Kernel) -> tuple[Technique, ...]:
    """Those that make a difference to a kernel, and `trap`."""
    rows = [table()[row] for row in kernel.rows]
    # An inline form is a NOP or a PAUSE: it takes no part in a kernel that is about a fault.
    inline = not kernel.faults and any("inline" in row.allowed for row in rows)
    native = any(_may_be_native(row) for row in rows)
    chosen = {
        Technique.TRAP: True,
        Technique.INLINE: inline,
        Technique.NATIVE: kernel.native and (native or bool(not kernel.rows and kernel.handlers)),
        Technique.PARAVIRTUAL: bool(kernel.paravirtual),
    }
    return tuple(technique for technique, wanted in chosen.items() if wanted)


def machine_arguments(technique: Technique) -> dict[str, Any]:
    """What `Machine` is told."""
    policies = {}
    for row in table().values():
        if technique is Technique.NATIVE and _may_be_native(row):
            policies[row.id] = "native"
        elif technique is Technique.INLINE and "inline" in row.allowed:
            policies[row.id] = "inline"
    return {"sbe": "full", "policies": policies}


def _may_be_native(row: Insn) -> bool:
    return row.full == "trap" and "native" in row.allowed
