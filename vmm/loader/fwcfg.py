"""What the fw_cfg device (ports 0x510 and 0x511) holds: the machine's description for firmware.

Items have a 16-bit key. Fixed keys are little-endian numbers; from `FIRST_FILE_KEY` on items are files,
listed with name, size and key in the directory, which is big-endian. Left out: the keys by which firmware
boots a kernel handed over by the VMM, and everything that describes hardware this machine does not have.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum

from vmm.errors import UsageError
from vmm.loader import acpi
from vmm.loader.memory_map import MIB
from vmm.loader.plan import Region, RegionKind


class Key(IntEnum):
    """Keys of the items that are not files."""

    SIGNATURE = 0x00
    ID = 0x01
    UUID = 0x02
    RAM_SIZE = 0x03
    NB_CPUS = 0x05
    NUMA = 0x0D
    BOOT_MENU = 0x0E
    MAX_CPUS = 0x0F
    FILE_DIR = 0x19


FIRST_FILE_KEY = 0x20
MAX_FILES = 256 - len(Key)
"""The chip has room for 256 items."""
MAX_NAME = 55
MAX_FILE = 64 * MIB
E820_FILE = "etc/e820"

_ID_TRADITIONAL, _ID_DMA = 1 << 0, 1 << 1
_HIGH_RAM = 1 << 32


def build(
    cpus: int,
    memory_map: Sequence[Region],
    *,
    files: Mapping[str, bytes] | None = None,
    uuid: bytes = bytes(16),
    dma: bool = True,
) -> list[tuple[int, bytes]]:
    """(key, content) of every item, by ascending key.

    `memory_map` as from `vmm.loader.memory_map`; `files` by name are added to those that every machine has
    (memory map, ACPI tables) or replace them; `dma` says that the device has the DMA interface. Raises
    UsageError for a number of processors, a name or a size that the device cannot hold.
    """
    everything = {E820_FILE: _e820(memory_map), **acpi.for_firmware(cpus), **(files or {})}
    if len(uuid) != 16:
        raise UsageError(f"a machine's UUID has 16 bytes, not {len(uuid)}")
    ram = sum(region.size for region in _firmware_map(memory_map) if region.kind is RegionKind.RAM)
    fixed: dict[int, bytes] = {
        Key.SIGNATURE: b"QEMU",
        Key.ID: struct.pack("<I", _ID_TRADITIONAL | (_ID_DMA if dma else 0)),
        Key.UUID: uuid,
        Key.RAM_SIZE: struct.pack("<Q", ram),
        Key.NB_CPUS: struct.pack("<H", cpus),
        # One node without a table: number of nodes, 0.
        Key.NUMA: struct.pack("<Q", 0),
        Key.BOOT_MENU: struct.pack("<H", 0),
        Key.MAX_CPUS: struct.pack("<H", cpus),
    }
    return sorted({**fixed, **_file_items(everything)}.items())


def _file_items(files: Mapping[str, bytes]) -> dict[int, bytes]:
    """The directory and the files, keys in the order of their names."""
    if len(files) > MAX_FILES:
        raise UsageError(f"{len(files)} fw_cfg files: the device holds {MAX_FILES}")
    directory = [struct.pack(">I", len(files))]
    items: dict[int, bytes] = {}
    for key, (name, data) in enumerate(sorted(files.items()), start=FIRST_FILE_KEY):
        _check_file(name, data)
        directory.append(struct.pack(">IHH56s", len(data), key, 0, name.encode("ascii")))
        items[key] = data
    return {Key.FILE_DIR: b"".join(directory), **items}


def _check_file(name: str, data: bytes) -> None:
    if not 0 < len(name) <= MAX_NAME or not (name.isascii() and name.isprintable()):
        raise UsageError(f"fw_cfg file {name!r}: a name has 1 to {MAX_NAME} printable ASCII characters")
    if len(data) > MAX_FILE:
        raise UsageError(f"fw_cfg file {name}: {len(data)} bytes, the limit is {MAX_FILE}")


def _e820(memory_map: Sequence[Region]) -> bytes:
    return b"".join(struct.pack("<QQI", r.base, r.size, r.kind) for r in _firmware_map(memory_map))


def _firmware_map(memory_map: Sequence[Region]) -> list[Region]:
    """`memory_map` as the firmware wants it: the holes in the first MiB are for it to make, so low RAM is one
    piece from address 0."""
    low_end = max((r.end for r in memory_map if r.kind is RegionKind.RAM and r.end <= _HIGH_RAM), default=0)
    if low_end < MIB:
        raise UsageError("the memory map has no RAM below 4 GiB that reaches 1 MiB, which firmware needs")
    rest = [r for r in memory_map if r.base >= MIB and (r.kind is not RegionKind.RAM or r.base >= _HIGH_RAM)]
    return [Region(0, low_end, RegionKind.RAM), *rest]
