"""Proves that Linux takes the tables without complaint: in QEMU, whose PC is wired as ours, told to use them
instead of its own. Powering off is not part of it: QEMU's sleep type for "off" is another."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import initramfs, packages
from vmm.loader import acpi

BASE = 0x7000000
SIZE = 0x10000
CPUS = 2
COMMANDS = "dmesg; echo processors $(nproc); cat /proc/interrupts; ls /sys/bus/acpi/devices"
COMPLAINT = re.compile(
    r".*(?:ACPI|AE_|BIOS|FADT|MADT|_PRT|_CRS).*(?:error|warning|firmware bug|invalid|unable).*", re.IGNORECASE
)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a Linux guest that uses our tables prints, up to its marker."""
    image = tmp_path_factory.mktemp("acpi") / "tables"
    image.write_bytes(_image())
    command = _qemu(image, initramfs.marker_initramfs(commands=COMMANDS))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as qemu:
        assert qemu.stdout is not None
        lines = []
        for line in qemu.stdout:
            lines.append(line)
            if initramfs.MARKER in line:
                break
        qemu.kill()
    return "".join(lines)


def _image() -> bytes:
    image = bytearray(SIZE)
    for address, data, _ in acpi.build(CPUS, BASE).blobs:
        image[address - BASE : address - BASE + len(data)] = data
    return bytes(image)


def _qemu(tables: Path, initrd: Path) -> list[str]:
    kernel = packages.require("linux-image-cloud-amd64", "boot/vmlinuz-*")
    append = f"console=ttyS0 panic=-1 acpi_rsdp={BASE:#x} memmap={SIZE:#x}${BASE:#x}"
    return [
        *(
            str(packages.require_program("qemu-system-x86_64")),
            "-accel",
            "tcg,thread=single",
            "-machine",
            "pc",
        ),
        *("-smp", str(CPUS), "-m", "256M", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", append),
        *("-device", f"loader,file={tables},addr={BASE:#x},force-raw=on"),
    ]


def test_guest_reaches_its_marker_with_all_processors(console: str) -> None:
    assert initramfs.MARKER in console
    assert f"processors {CPUS}" in console


def test_our_tables_were_used(console: str) -> None:
    assert re.search(rf"ACPI: RSDP 0x0*{BASE:x} .*VMM", console)
    assert "ACPI: Interpreter enabled" in console
    assert "ACPI: PM: (supports S0 S5)" in console


def test_no_complaint(console: str) -> None:
    assert [line for line in console.splitlines() if COMPLAINT.match(line)] == []


def test_interrupts_come_as_wired(console: str) -> None:
    assert re.search(r" 0: .* 2-edge +timer", console)
    assert re.search(r" 9: .* 9-fasteoi +acpi", console)
    assert re.search(r"ACPI: PCI Root Bridge \[PCI0\] \(domain 0000 \[bus 00-ff\]\)", console)


@pytest.mark.parametrize("device", ["PNP0303:00", "PNP0501:00", "PNP0501:01", "PNP0B00:00", "PNP0103:00"])
def test_devices_are_found(console: str, device: str) -> None:
    assert device in console
