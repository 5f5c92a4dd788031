"""Proves `vmm run` and `vmm sbe` from end to end: exit codes, streams, JSON, screen files, diagnosis."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.machine.program import SPIN, program, say
from vmm.cli import main

FLAT = ("--protocol", "flat", "--memory", "16M")
FIELDS = {
    *(
        "outcome",
        "exit_value",
        "instructions",
        "guest_seconds",
        "wall_seconds",
        "serial_sha256",
        "state_sha256",
    ),
    *("traps", "sbe", "interrupts", "exceptions", "srat", "vmm", "image_sha256", "options"),
}


def run(image: Path, *options: str) -> int:
    return main(["run", str(image), *options])


def report(path: Path) -> dict[str, Any]:
    loaded = json.loads(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_serial_on_stdout_and_one_line_on_stderr(
    guests: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(guests / "boot" / "elf64.elf", "--append", "x") == 0
    captured = capfdbinary.readouterr()
    assert captured.out.startswith(b"hello from elf64\n")
    assert captured.err.startswith(b"vmm: poweroff after ")
    assert captured.err.count(b"\n") == 1


def test_serial_to_a_file(guests: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(guests / "boot" / "elf64.elf", "--serial", str(tmp_path / "serial")) == 0
    assert capfdbinary.readouterr().out == b""
    assert (tmp_path / "serial").read_bytes().startswith(b"hello from elf64\n")


def test_json_has_every_field(guests: Path, tmp_path: Path) -> None:
    image, serial = guests / "boot" / "elf64.elf", tmp_path / "serial"
    options = ("--serial", str(serial), "--json", str(tmp_path / "run.json"), "--sbe", "full")
    assert run(image, *options) == 0
    result = report(tmp_path / "run.json")
    assert set(result) >= FIELDS
    assert result["outcome"] == "poweroff"
    assert result["image_sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert result["serial_sha256"] == hashlib.sha256(serial.read_bytes()).hexdigest()
    assert result["traps"]["IO"] > 0
    assert set(result["sbe"]) >= {"blocks", "instructions", "sites", "seconds"}
    assert result["srat"]["pages"]["guest_ram"] == (512 << 20) // 4096
    assert result["options"]["sbe"] == "full"


def test_two_runs_differ_in_host_time_only(guests: Path, tmp_path: Path) -> None:
    def result(name: str) -> dict[str, Any]:
        path = tmp_path / f"{name}.json"
        run(guests / "boot" / "multiboot1.elf", "--serial", str(tmp_path / "serial"), "--json", str(path))
        loaded = report(path)
        for key in ("wall_seconds", "options"):
            del loaded[key]
        del loaded["sbe"]["seconds"]
        return loaded

    assert result("one") == result("two")


def test_json_on_stdout(guests: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ("--serial", str(tmp_path / "serial"), "--json", "-")
    assert run(guests / "boot" / "elf64.elf", *options) == 0
    assert json.loads(capfd.readouterr().out)["outcome"] == "poweroff"


def test_sign(guests: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(guests / "boot" / "elf64.elf", "--until", "hello from .*64") == 0
    assert "vmm: until 'hello from elf64' after" in capfd.readouterr().err


def test_timeout(tmp_path: Path) -> None:
    assert run(program(tmp_path, SPIN), *FLAT, "--timeout", "0.1") == 124


def test_debug_exit(tmp_path: Path) -> None:
    image = program(tmp_path, say("\x10", port=0xF4) + SPIN)
    options = (*FLAT, "--debug-exit", "0xf4", "--json", str(tmp_path / "run.json"))
    assert run(image, *options) == 33
    assert report(tmp_path / "run.json")["exit_value"] == 0x10


def test_dead_guest(guests: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ("--json", str(tmp_path / "run.json"))
    assert run(guests / "faults" / "triple_fault.elf", *options) == 125
    err = capfd.readouterr().err
    assert err.startswith("vmm: the guest died: triple fault: ")
    assert "Code at RIP" in err
    result = report(tmp_path / "run.json")
    assert result["outcome"] == "died"
    assert result["cause"].startswith("triple fault: ")
    assert result["exceptions"]["#UD"] == 1


def test_reset(tmp_path: Path) -> None:
    image = program(tmp_path, "mov al, 0xfe; out 0x64, al;" + SPIN)
    assert run(image, *FLAT) == 0
    assert run(image, *FLAT, "--until", "never") == 125


def test_trace_lines(guests: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(guests / "boot" / "elf64.elf", "--trace", "ports") == 0
    lines = capfd.readouterr().err.splitlines()
    assert any(line.endswith("cpu0 out8 port 0x3f8 <- 0x68") for line in lines)
    assert lines[-1].startswith("vmm: poweroff")


def test_screen_files(guests: Path, tmp_path: Path) -> None:
    for name in ("end.txt", "end.png"):
        assert run(guests / "boot" / "elf64.elf", "--screen", str(tmp_path / name)) == 0
    assert (tmp_path / "end.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "end.txt").read_text().endswith("\n")


def test_keys(tmp_path: Path) -> None:
    # Waits for the press of `b` and leaves its scan code.
    keyboard_on = "mov al, 0xae; out 0x64, al; mov al, 0xf4; out 0x60, al;"
    wait = keyboard_on + "again: in al, 0x60; cmp al, 0x30; jne again;"
    image = program(tmp_path, wait + "out 0xf4, al;" + SPIN)
    options = (*FLAT, "--debug-exit", "0xf4", "--timeout", "5", "--keys", "a{wait 0.5}b")
    assert run(image, *options) == (0x30 << 1 | 1)


def test_sbe_lists_sites(guests: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = str(guests / "boot" / "elf64.elf")
    assert main(["sbe", image]) == 0
    captured = capfd.readouterr()
    assert any("OUT" in line and " ee" in line for line in captured.out.splitlines())
    assert main(["sbe", image, "--json", str(tmp_path / "sites.json")]) == 0
    assert len(report(tmp_path / "sites.json")["sites"]) == len(captured.out.splitlines())


def test_sbe_compares_with_a_run(guests: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ("--run", "--sbe", "full", "--json", str(tmp_path / "sbe.json"))
    assert main(["sbe", str(guests / "boot" / "elf64.elf"), *options]) == 0
    result = report(tmp_path / "sbe.json")
    assert result["recall"]["executed"] > 0
    assert result["recall"]["ratio"] == 1.0
    assert "(100.0%)" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["boot/rom.bin", "boot/bootsector.bin", "boot/bzimage.bin"])
def test_sbe_walks_images_of_every_kind(guests: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["sbe", str(guests / name)]) == 0
    assert len(capfd.readouterr().out.splitlines()) > 0
