"""Plays SeaBIOS: carries out etc/table-loader on fw_cfg files, with every check a firmware would need."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from vmm.loader.acpi import table_loader

_F_SEGMENT = (0xF5000, 0x100000)
_HIGH = (0x0FFE0000, 0x10000000)


def load(files: Mapping[str, bytes]) -> dict[str, tuple[int, bytearray]]:
    """(address, content) of each allocated file after all commands."""
    script = files[table_loader.LOADER_FILE]
    assert len(script) % table_loader.COMMAND_SIZE == 0
    memory: dict[str, tuple[int, bytearray]] = {}
    free = {table_loader.ZONE_HIGH: _HIGH[0] + 8, table_loader.ZONE_F_SEGMENT: _F_SEGMENT[0] + 8}
    ends = {table_loader.ZONE_HIGH: _HIGH[1], table_loader.ZONE_F_SEGMENT: _F_SEGMENT[1]}
    for at in range(0, len(script), table_loader.COMMAND_SIZE):
        (command,) = struct.unpack_from("<I", script, at)
        operands = script[at + 4 : at + table_loader.COMMAND_SIZE]
        if command == table_loader.ALLOCATE:
            name, align, zone = struct.unpack_from("<56sIB", operands)
            content = bytearray(files[_text(name)])
            assert align & (align - 1) == 0
            address = -(-free[zone] // align) * align
            free[zone] = address + len(content)
            assert free[zone] <= ends[zone]
            assert _text(name) not in memory
            memory[_text(name)] = (address, content)
        elif command == table_loader.ADD_POINTER:
            _add_pointer(memory, operands)
        elif command == table_loader.ADD_CHECKSUM:
            name, where, start, length = struct.unpack_from("<56sIII", operands)
            content = memory[_text(name)][1]
            assert start <= where < start + length <= len(content)
            # SeaBIOS subtracts from what is there, so the byte must be zero before.
            content[where] = (content[where] - sum(content[start : start + length])) & 0xFF
        else:
            raise AssertionError(f"unknown command {command}")
    return memory


def _add_pointer(memory: Mapping[str, tuple[int, bytearray]], operands: bytes) -> None:
    destination, source, offset, size = struct.unpack_from("<56s56sIB", operands)
    content = memory[_text(destination)][1]
    address, target = memory[_text(source)]
    assert offset + size <= len(content)
    value = int.from_bytes(content[offset : offset + size], "little")
    assert value < len(target)
    content[offset : offset + size] = (value + address).to_bytes(size, "little")


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode("ascii")
