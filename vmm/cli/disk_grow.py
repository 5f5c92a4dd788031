"""`vmm disk grow`: a larger disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmm.cli.declare import Command, argument
from vmm.cli.disk import disk_size
from vmm.storage.chain import open_image
from vmm.storage.grow import grow


@dataclass(frozen=True, kw_only=True)
class GrowOptions:
    """As typed."""

    file: Path = argument("FILE", "A disk image: raw, monolithicSparse or monolithicFlat.", Path)
    size: str = argument("SIZE", "Its new size, such as 40G, or +SIZE for so much more.")


def disk_grow(options: GrowOptions) -> int:
    """Make a disk larger; the new end reads as zeros. The file systems in it stay as large as they are.

    Examples:

    \b
      vmm disk grow web.vmdk 40G
      vmm disk grow web.img +512M
    """
    more = disk_size(options.size.removeprefix("+"))
    if options.size.startswith("+"):
        with open_image(options.file) as image:
            more += image.size
    grow(options.file, more)
    return 0


COMMAND = Command(GrowOptions, disk_grow)
