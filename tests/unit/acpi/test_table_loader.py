"""Proves that firmware which carries out our commands ends with exactly the tables that `build` makes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.acpi import seabios
from vmm.loader import acpi
from vmm.loader.acpi import placement, table_loader, wiring
from vmm.loader.acpi.tables import rsdp, tables


@given(st.integers(1, wiring.MAX_CPUS))
def test_loaded_tables_are_those_placed_directly(cpus: int) -> None:
    memory = seabios.load(acpi.for_firmware(cpus))
    address, image = memory[table_loader.TABLES_FILE]
    offsets = placement.offsets(tables(cpus))
    addresses = {name: address + offset for name, offset in offsets.items()}
    for table in tables(cpus):
        start = offsets[table.name]
        assert image[start : start + len(table.data)] == placement.resolve(table, addresses), table.name
    assert memory[table_loader.RSDP_FILE][1] == placement.resolve(rsdp(), addresses)


def test_root_pointer_is_where_guests_search() -> None:
    address, root = seabios.load(acpi.for_firmware(1))[table_loader.RSDP_FILE]
    assert address % 16 == 0
    assert 0xE0000 <= address < 0x100000
    assert root[:8] == b"RSD PTR "


def test_facs_is_aligned_in_memory() -> None:
    memory = seabios.load(acpi.for_firmware(3))
    address, image = memory[table_loader.TABLES_FILE]
    assert (address + image.index(b"FACS")) % 64 == 0


def test_a_wrong_offset_is_noticed() -> None:
    files = acpi.for_firmware(1)
    script = bytearray(files[table_loader.LOADER_FILE])
    first_pointer = next(
        at
        for at in range(0, len(script), table_loader.COMMAND_SIZE)
        if struct.unpack_from("<I", script, at)[0] == table_loader.ADD_POINTER
    )
    script[first_pointer + 4 + 112] += 4
    with pytest.raises(AssertionError):
        seabios.load({**files, table_loader.LOADER_FILE: bytes(script)})
