"""Proves every boot protocol from the command line and from Python: each hello kernel greets by its
protocol's name, says what it was handed, and its clean power-off is exit code 0, in each SBE profile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.boot.command import vmm_run
from tests.guests_build import guest
from vmm import Machine

# Image, protocol it is found to be, how it greets, the magic number of the hand-off.
HELLOS = [
    ("multiboot1.elf", "multiboot1", "multiboot1", "0x2badb002"),
    ("multiboot1_elf64.elf", "multiboot1", "multiboot1 elf64", "0x2badb002"),
    ("multiboot1_kludge.bin", "multiboot1", "multiboot1 a.out kludge", "0x2badb002"),
    ("multiboot2.elf", "multiboot2", "multiboot2", "0x36d76289"),
    ("bzimage.bin", "linux32", "bzImage 32-bit entry", "0x53726448"),
    ("pvh.elf", "pvh", "pvh", "0x336ec578"),
    ("elf32.elf", "elf32", "elf32", "0x0"),
    ("elf64.elf", "elf64", "elf64", "0x53726448"),
    ("bootsector.bin", "boot-sector", "boot sector", "0x0080"),
    ("rom.bin", "rom", "reset vector", "0x000306c3"),
]
# Those that only a protocol asked for by name leads to.
ON_REQUEST = [
    ("bzimage.bin", "linux64", "bzImage 64-bit entry", "0x53726448"),
    ("flat.bin", "flat", "flat binary", "0x20"),
]
WITH_A_MAP = ("multiboot1", "multiboot2", "linux32", "linux64", "pvh")
MEMORY_KIB = 64 * 1024


@pytest.mark.parametrize(("image", "protocol", "name", "magic"), HELLOS, ids=[row[0] for row in HELLOS])
def test_found_by_looking(image: str, protocol: str, name: str, magic: str, tmp_path: Path) -> None:
    end = vmm_run(guest(f"boot/{image}"), "--memory", "64M", "--timeout", "5", report=tmp_path / "run.json")
    assert end.code == 0, end.said
    assert end.report["outcome"] == "poweroff"
    assert end.report["protocol"] == protocol
    greeting, handed = end.serial.splitlines()
    assert greeting == f"hello from {name}"
    assert handed.startswith(f"magic {magic} ")


@pytest.mark.parametrize(
    ("image", "protocol", "name", "magic"), ON_REQUEST, ids=[row[1] for row in ON_REQUEST]
)
def test_asked_for_by_name(image: str, protocol: str, name: str, magic: str) -> None:
    end = vmm_run(guest(f"boot/{image}"), "--protocol", protocol, "--timeout", "5")
    assert end.code == 0, end.said
    assert end.serial.startswith(f"hello from {name}\nmagic {magic} "), end.serial


@pytest.mark.parametrize("sbe", ["full", "adaptive", "off"])
@pytest.mark.parametrize(("image", "protocol", "name", "magic"), HELLOS, ids=[row[0] for row in HELLOS])
def test_every_profile_and_what_is_handed_over(
    image: str, protocol: str, name: str, magic: str, sbe: str
) -> None:
    takes_text = protocol in WITH_A_MAP
    with Machine(
        guest(f"boot/{image}"), memory="64M", sbe=sbe, append="quiet 'x y'" if takes_text else ""
    ) as vm:
        result = vm.run(timeout=5)
        text = vm.serial.text
    assert result.outcome == "poweroff", text
    assert text.startswith(f"hello from {name}\nmagic {magic} ")
    if takes_text:
        assert "quiet 'x y'\"" in text
        handed_kib = int(re.search(r"memory (\d+) KiB in \d+ entries", text)[1])  # type: ignore[index]
        # All of it but the 384 KiB below 1 MiB, and what the BIOS keeps for itself.
        assert MEMORY_KIB - 512 <= handed_kib <= MEMORY_KIB
