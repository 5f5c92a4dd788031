"""`vmm disk create`: an empty disk image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmm.cli.declare import Command, argument, flag, option
from vmm.cli.disk import disk_size, progress
from vmm.storage.create import create, kind_for, kind_named

TYPE_HELP = (
    "raw, vmdk (= monolithicSparse), monolithicFlat, twoGbMaxExtentSparse, twoGbMaxExtentFlat, "
    "streamOptimized (default: vmdk for a name in .vmdk, else raw)."
)


@dataclass(frozen=True, kw_only=True)
class CreateOptions:
    """As typed."""

    file: Path = argument("FILE", "The image to make.", Path)
    size: int = argument("SIZE", "Size of the disk, such as 512M or 20G.", disk_size)
    type: str | None = option(None, "TYPE", TYPE_HELP)
    preallocate: bool = flag("Take the space now; for raw and flat types.")
    force: bool = flag("Replace a file that exists.")


def disk_create(options: CreateOptions) -> int:
    """Make an empty disk image.

    raw is the disk's bytes and nothing else. A sparse VMDK takes space as it is written to, on every file
    system, and can have snapshots; flat types keep data and descriptor in two files, as ESX does.

    Examples:

    \b
      vmm disk create web.vmdk 20G
      vmm disk create scratch.img 4G --preallocate
      vmm disk create esx.vmdk 8G --type monolithicFlat
    """
    kind = kind_for(options.file) if options.type is None else kind_named(options.type)
    with progress("creating"):
        create(options.file, options.size, kind, force=options.force, preallocate=options.preallocate)
    return 0


COMMAND = Command(CreateOptions, disk_create)
