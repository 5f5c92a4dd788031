"""Raw images: a file or block device whose bytes are the disk's."""

from __future__ import annotations

from vmm.monitor.disk import raw_layer
from vmm.storage.files import SECTOR, ImageFile
from vmm.storage.image import Level, Opened


def open_raw(file: ImageFile, *, probed: bool) -> Opened:
    """`probed`: nobody said that it is raw, so it must not become anything else. A last sector that the file
    holds only a part of is filled up with zeros."""
    if not file.size:
        raise file.error("is empty", remedy="vmm disk create makes a disk of a size")
    size = -(-file.size // SECTOR) * SECTOR
    layer = raw_layer(file.for_layer()._replace(probed=probed), 0, size)
    notes = {"block_device": True} if file.block_device else {}
    return Opened(layer, [Level(file.path, "raw", layer.view(), size, notes)], [file])
