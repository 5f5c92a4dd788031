"""PVH: the Xen direct boot ABI (xen/include/public/arch-x86/hvm/start_info.h), 32-bit and without paging.

The kernel is an ELF whose note "Xen" type 18 gives the entry; EBX points to `hvm_start_info` version 1.
The initrd is the first module, as Linux expects.
"""

from __future__ import annotations

import struct

from vmm.errors import ImageError
from vmm.loader import elf, symbols
from vmm.loader.bios_area import place_bios_area
from vmm.loader.elf_image import place_segments
from vmm.loader.elf_notes import pvh_entry
from vmm.loader.format import Format
from vmm.loader.handoff import place_stack, protected_cpu
from vmm.loader.layout import Layout
from vmm.loader.modules import PlacedModule, place_modules
from vmm.loader.plan import BootPlan, BootRequest
from vmm.loader.text import cstring
from vmm.loader.view import ImageView

START_INFO_MAGIC = 0x336EC578
MAX_MAP_ENTRIES = 127
"""Linux adds one entry of its own to a table of 128."""


def probe(view: ImageView) -> bool:
    """An ELF file with a PVH note, even a damaged one."""
    try:
        return elf.is_elf(view) and pvh_entry(elf.parse(view)) is not None
    except ImageError as error:
        return "PVH" in error.reason


def plan(view: ImageView, request: BootRequest) -> BootPlan:
    """Plan for an ELF file with a PVH note."""
    return plan_elf(elf.parse(view), request)


def plan_elf(image: elf.Elf, request: BootRequest, notes: tuple[str, ...] = ()) -> BootPlan:
    """Enter a parsed ELF through its PVH note; ImageError when it has none."""
    found = pvh_entry(image)
    if found is None:
        raise image.view.error(
            "the kernel has no PVH note (Xen, type 18)", remedy="boot it as linux or elf64"
        )
    entry, note_offset = found
    layout = Layout(image.view, request)
    end = place_segments(image, layout)
    if not any(load.paddr <= entry < load.paddr + load.memsz for load in image.loads):
        raise image.view.error(f"the PVH entry {entry:#x} lies in no loaded segment", offset=note_offset)
    place_bios_area(layout)
    modules = place_modules(layout, image.view, request, end)
    registers = {"rbx": _place_start_info(layout, image.view, request, modules), "rsp": place_stack(layout)}
    cpu = protected_cpu(layout, entry, registers, tr_32bit=True)
    return BootPlan("pvh", image.view.path, layout.blobs, cpu, None, symbols.from_elf(image), notes)


def _place_start_info(
    layout: Layout, view: ImageView, request: BootRequest, modules: tuple[PlacedModule, ...]
) -> int:
    command_line = layout.handoff(cstring(view, request.append), "command line")
    regions = request.memory_map[:MAX_MAP_ENTRIES]
    memory_map = b"".join(struct.pack("<QQII", r.base, r.size, r.kind, 0) for r in regions)
    map_address = layout.handoff(memory_map, "PVH memory map")
    module_list = b"".join(
        struct.pack("<QQQQ", m.start, m.size, layout.handoff(cstring(view, m.args), "module arguments"), 0)
        for m in modules
    )
    list_address = layout.handoff(module_list, "PVH module list") if modules else 0
    info = struct.pack(
        "<IIIIQQQQII",
        START_INFO_MAGIC,
        1,  # version
        0,  # flags: neither privileged nor the initial domain
        len(modules),
        list_address,
        command_line,
        request.rsdp,
        map_address,
        len(regions),
        0,
    )
    return layout.handoff(info, "PVH start_info")


FORMAT = Format("pvh", ("pvh",), probe, plan)
