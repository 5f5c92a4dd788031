"""A flat binary at an address the user gives: only on request, any file would do.

Below 1 MiB it starts in real mode (CS:IP with IP as large as it can be), from there up in flat 32-bit
protected mode; either way at its first byte.
"""

from __future__ import annotations

from vmm.loader.bios_area import place_bios_area
from vmm.loader.format import Format, refuse
from vmm.loader.handoff import place_stack, protected_cpu
from vmm.loader.layout import Layout
from vmm.loader.memory_map import MIB
from vmm.loader.plan import BootPlan, BootRequest, CpuState
from vmm.loader.view import ImageView

STACK = 1024
"""Bytes of real-mode stack, placed in the first 64 KiB: SS is 0."""


def probe(_view: ImageView) -> bool:
    """Any bytes can be a flat binary."""
    return True


def plan(view: ImageView, request: BootRequest) -> BootPlan:
    """Place the file at `request.flat_address`."""
    refuse(request, "flat", "append", "initrd", "modules")
    address = request.flat_address
    layout = Layout(view, request)
    layout.fixed(address, view.data, "flat binary")
    place_bios_area(layout)
    if address < MIB:
        stack = layout.up(b"", "boot stack", low=0x1000, high=0x10000, size=STACK) + STACK
        cpu = CpuState("real", address & 0xFFFF, {"rsp": stack - 16}, cs=(address & ~0xFFFF) >> 4)
    else:
        cpu = protected_cpu(layout, address, {"rsp": place_stack(layout)})
    return BootPlan("flat", view.path, layout.blobs, cpu, None, None, ())


FORMAT = Format("flat", ("flat",), probe, plan)
