"""Proves the content of fw_cfg by reading it as firmware does: keys, directory, memory map, limits."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.errors import UsageError
from vmm.loader import acpi, fwcfg
from vmm.loader.fwcfg import Key
from vmm.loader.memory_map import GIB, MIB, memory_map
from vmm.loader.plan import Region, RegionKind

NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=fwcfg.MAX_NAME)


def directory(items: dict[int, bytes]) -> dict[str, bytes]:
    """Files by name, as SeaBIOS reads them through the directory."""
    listing = items[Key.FILE_DIR]
    (count,) = struct.unpack_from(">I", listing)
    assert len(listing) == 4 + 64 * count
    files = {}
    for size, key, reserved, name in struct.iter_unpack(">IHH56s", listing[4:]):
        assert key >= fwcfg.FIRST_FILE_KEY
        assert reserved == 0
        assert name[-1] == 0
        assert len(items[key]) == size
        files[name.rstrip(b"\0").decode()] = items[key]
    return files


def test_fixed_keys() -> None:
    items = dict(fwcfg.build(4, memory_map(256 * MIB), uuid=bytes(range(16))))
    assert items[Key.SIGNATURE] == b"QEMU"
    assert items[Key.UUID] == bytes(range(16))
    assert items[Key.NB_CPUS] == items[Key.MAX_CPUS] == b"\4\0"
    assert items[Key.RAM_SIZE] == struct.pack("<Q", 256 * MIB)


def test_dma_is_announced_only_where_it_is() -> None:
    for dma, identity in ((True, b"\3\0\0\0"), (False, b"\1\0\0\0")):
        assert dict(fwcfg.build(1, memory_map(64 * MIB), dma=dma))[Key.ID] == identity


def test_acpi_files_are_those_of_the_acpi_package() -> None:
    files = directory(dict(fwcfg.build(2, memory_map(64 * MIB))))
    for name, content in acpi.for_firmware(2).items():
        assert files[name] == content


@pytest.mark.parametrize("size", [16 * MIB, 3 * GIB, 5 * GIB])
def test_memory_map_has_all_ram_and_leaves_the_first_mib_to_firmware(size: int) -> None:
    items = dict(fwcfg.build(1, memory_map(size)))
    regions = list(struct.iter_unpack("<QQI", directory(items)[fwcfg.E820_FILE]))
    ram = [(base, length) for base, length, kind in regions if kind == RegionKind.RAM]
    assert ram[0] == (0, min(size, 3 * GIB))
    assert sum(length for _, length in ram) == size == struct.unpack("<Q", items[Key.RAM_SIZE])[0]
    assert all(base >= MIB for base, _, kind in regions if kind != RegionKind.RAM)


@given(st.dictionaries(NAMES, st.binary(max_size=100), max_size=20))
def test_files_are_found_by_name(files: dict[str, bytes]) -> None:
    items = fwcfg.build(1, memory_map(64 * MIB), files=files)
    keys = [key for key, _ in items]
    assert keys == sorted(set(keys))
    found = directory(dict(items))
    assert {name: found[name] for name in files} == files


@pytest.mark.parametrize("name", ["", "x" * 56, "etc/\xe9", "a\nb", "a\0b"])
def test_bad_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="1 to 55 printable"):
        fwcfg.build(1, memory_map(64 * MIB), files={name: b""})


def test_too_many_files_are_refused() -> None:
    many = {f"opt/{index}": b"" for index in range(fwcfg.MAX_FILES)}
    with pytest.raises(UsageError, match="fw_cfg files"):
        fwcfg.build(1, memory_map(64 * MIB), files=many)


def test_too_large_file_is_refused() -> None:
    with pytest.raises(UsageError, match="the limit is"):
        fwcfg.build(1, memory_map(64 * MIB), files={"opt/big": bytes(fwcfg.MAX_FILE + 1)})


@pytest.mark.parametrize("cpus", [0, 65])
def test_bad_number_of_processors_is_refused(cpus: int) -> None:
    with pytest.raises(UsageError, match="1 to 64"):
        fwcfg.build(cpus, memory_map(64 * MIB))


def test_bad_uuid_is_refused() -> None:
    with pytest.raises(UsageError, match="16 bytes"):
        fwcfg.build(1, memory_map(64 * MIB), uuid=b"short")


def test_memory_map_without_low_ram_is_refused() -> None:
    with pytest.raises(UsageError, match="no RAM below 4 GiB"):
        fwcfg.build(1, [Region(4 * GIB, GIB, RegionKind.RAM)])
