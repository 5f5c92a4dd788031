"""Proves that ROMs, boot sectors and flat binaries start where the hardware or the user says."""

from __future__ import annotations

import pytest

from tests.unit.loader.builders import CODE, MIB, boot_sector, plan, rom
from vmm.errors import ImageError, UsageError


@pytest.mark.parametrize(
    "vector", [b"\xea\x5b\xe0\x00\xf0", b"\xfa\xfc\xe9\x0b\xf8", b"\xe9\x0d\xfe", b"\xeb\xee"]
)
def test_rom_is_taken_whole_and_starts_at_reset(vector: bytes) -> None:
    planned = plan(rom(vector, pages=2))
    assert (planned.protocol, planned.cpu.mode, planned.blobs) == ("rom", "reset", ())
    assert planned.rom == rom(vector, pages=2)


@pytest.mark.parametrize(
    "image", [rom(b"\x00\x00"), rom()[1:], rom() + b"\0", rom(b"\xfa\xfa"), bytes(16) + rom()]
)
def test_no_rom_without_a_jump_at_the_vector_and_a_rom_size(image: bytes) -> None:
    with pytest.raises(ImageError, match="not a bootable image"):
        plan(image)


def test_boot_sector_runs_at_7c00_in_real_mode_from_the_first_disk() -> None:
    planned = plan(boot_sector(3))
    cpu = planned.cpu
    assert (cpu.mode, cpu.cs, cpu.entry, cpu.registers["rdx"]) == ("real", 0, 0x7C00, 0x80)
    assert planned.blobs[0].address == 0x7C00
    assert planned.blobs[0].data == boot_sector(3)


def test_disk_image_says_what_is_missing() -> None:
    with pytest.raises(ImageError, match="SCSI adapter"):
        plan(boot_sector(65))


@pytest.mark.parametrize("image", [rom(), boot_sector()])
def test_command_line_for_a_raw_image_is_refused(image: bytes) -> None:
    with pytest.raises(UsageError, match="--append"):
        plan(image, append="console=ttyS0")


def test_flat_binary_only_on_request() -> None:
    planned = plan(CODE, protocol="flat")
    assert (planned.cpu.mode, planned.cpu.entry, planned.blobs[0].address) == ("protected", MIB, MIB)
    with pytest.raises(ImageError, match="not a bootable image"):
        plan(CODE)


@pytest.mark.parametrize(
    ("address", "cs", "ip"), [(0x7C00, 0, 0x7C00), (0x12345, 0x1000, 0x2345), (0x9FB00, 0x9000, 0xFB00)]
)
def test_flat_binary_below_1_mib_starts_in_real_mode(address: int, cs: int, ip: int) -> None:
    cpu = plan(CODE, protocol="flat", flat_address=address).cpu
    assert (cpu.mode, cpu.cs, cpu.entry) == ("real", cs, ip)
    assert 0 < cpu.registers["rsp"] < 0x10000


def test_flat_binary_outside_ram_is_refused() -> None:
    for address in (0x9FBFE, 0xF0000, 64 * MIB, 1 << 40):
        with pytest.raises(ImageError, match="flat binary wants"):
            plan(CODE, protocol="flat", flat_address=address)
