"""Files handed over beside a kernel: the initrd first, then the modules in the order given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmm.loader.layout import PAGE, Layout
from vmm.loader.memory_map import MIB
from vmm.loader.plan import BootRequest, Module
from vmm.loader.view import ImageView, read_file

MAX_MODULES = 64


@dataclass(frozen=True, slots=True)
class PlacedModule:
    """A module in guest RAM: `size` bytes at `start`, from the file `path`, with `args`."""

    path: Path
    args: str
    start: int
    size: int


def place_modules(
    layout: Layout, view: ImageView, request: BootRequest, low: int
) -> tuple[PlacedModule, ...]:
    """Place all files page-aligned above the image's end `low`, where every Multiboot loader puts them.

    Kernels that allocate upwards from their own end look at the module list first; those that allocate
    downwards from the top of RAM, which we leave free, need not.
    """
    initrd = (Module(request.initrd),) if request.initrd else ()
    wanted = initrd + request.modules
    if len(wanted) > MAX_MODULES:
        raise view.error(f"{len(wanted)} modules; at most {MAX_MODULES} can be handed over")
    placed = []
    for module in wanted:
        data = read_file(module.path, "initrd" if module in initrd else "module", request.memory)
        start = layout.up(data, f"module {module.path}", low=max(low, MIB), align=PAGE)
        placed.append(PlacedModule(module.path, module.args, start, len(data)))
    return tuple(placed)
