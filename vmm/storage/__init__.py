"""Disk images: raw, VMDK with redo logs, qcow2; what is in them, and new ones.

Reading order: `chain.py` (opening), `image.py` (what is open), `files.py` and `locks.py` (the host's side), a
file per format: `raw.py`, `vmdk.py` with `vmdk_descriptor.py`, `vmdk_header.py` and `vmdk_tables.py`,
`qcow2.py`. Then what is done with images: `create.py`, `convert.py`, `check.py`, `grow.py`, `snapshot.py`,
`tracking.py`. The data path is C: `vmm.monitor.disk`, csrc/blk.
"""

from __future__ import annotations

from vmm.storage.chain import FORMATS, detect, open_image
from vmm.storage.image import Extent, Image, Level

__all__ = ["FORMATS", "Extent", "Image", "Level", "detect", "open_image"]
