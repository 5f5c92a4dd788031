"""All micro-kernels, and why a row of the instruction table has none."""

from __future__ import annotations

from collections.abc import Mapping

from vmm.bench.kernel import EMPTY, EMPTY_USER, Kernel
from vmm.bench.recipes import devices, flow, registers, tables, undefined

KERNELS: Mapping[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        *(EMPTY, EMPTY_USER),
        *registers.KERNELS,
        *devices.KERNELS,
        *flow.KERNELS,
        *tables.KERNELS,
        *undefined.KERNELS,
    )
}
"""By name, in the order of the table that is shown."""

WITHOUT_KERNEL: Mapping[str, str] = {
    "ARPL": "does not exist in 64-bit mode: its opcode is MOVSXD there",
    "INTO": "does not exist in 64-bit mode: its opcode is #UD there",
}
"""Rows of the instruction table that no kernel exercises, with the reason."""
