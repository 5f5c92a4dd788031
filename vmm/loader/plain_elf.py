"""Bare ELF executables, entered at e_entry the way Linux's boot protocol enters a kernel (boot.rst).

ELF64 starts in long mode with RSI at boot_params (sections "64-bit boot protocol"), which is all an
uncompressed Linux `vmlinux` needs; ELF32 starts in flat protected mode with ESI there. A kernel that wants
none of it ignores the register.
"""

from __future__ import annotations

from vmm.loader import elf, symbols
from vmm.loader.bios_area import place_bios_area
from vmm.loader.boot_params import LINUX_LOW, SetupHeader, default_header, place_boot_params
from vmm.loader.elf_image import place_segments
from vmm.loader.format import Format, refuse
from vmm.loader.handoff import long_cpu, place_stack, protected_cpu
from vmm.loader.layout import Layout
from vmm.loader.plan import BootPlan, BootRequest
from vmm.loader.view import ImageView


def plan(view: ImageView, request: BootRequest) -> BootPlan:
    """Plan for an ELF file; protocol `elf32` or `elf64` by its class."""
    image = elf.parse(view)
    protocol = f"elf{image.bits}"
    if request.protocol not in (None, protocol):
        raise view.error(f"the file is ELF{image.bits}, not {request.protocol}", offset=4)
    return plan_elf(image, request, default_header(), protocol)


def plan_elf(
    image: elf.Elf, request: BootRequest, header: SetupHeader, protocol: str, notes: tuple[str, ...] = ()
) -> BootPlan:
    """Enter a parsed ELF with boot_params made from `header`."""
    refuse(request, protocol, "modules")
    layout = Layout(image.view, request)
    place_segments(image, layout)
    entry = image.physical_entry()
    place_bios_area(layout)
    params = place_boot_params(layout, image.view, header, request)
    registers = {"rsi": params, "rsp": place_stack(layout, LINUX_LOW)}
    enter = long_cpu if image.bits == 64 else protected_cpu
    cpu = enter(layout, entry, registers, prefer=LINUX_LOW)
    return BootPlan(protocol, image.view.path, layout.blobs, cpu, None, symbols.from_elf(image), notes)


FORMAT = Format("elf", ("elf32", "elf64"), elf.is_elf, plan)
