"""Proves `vmm bench traps`: what it shows, writes and refuses; its images boot elsewhere; its plots are
pictures; and QEMU runs the same kernels."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from tests import packages
from vmm.bench import qemu, text, traps
from vmm.bench.exact import EVENTS
from vmm.bench.plot import COLOURS
from vmm.bench.recipes import KERNELS
from vmm.bench.skeleton import EXIT_VALUE, build
from vmm.bench.techniques import Technique
from vmm.bench.timing import Stopwatch
from vmm.bench.workbench import Workbench
from vmm.cli import main

FEW = ("--class", "CACHE", "--class", "cpuid")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["bench", "traps", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_exact_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--exact", *FEW)
    assert (code, err.splitlines()) == (0, ["vmm: cpuid", "vmm: wbinvd", "vmm: invd"])
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:7] == ["kernel", "technique", "class", "instr", "entries", "hits", "irqs"]
    assert ["cpuid", "trap", "CPUID", "2", "1", "1", "0", "2", "42"] in lines
    assert ["wbinvd", "inline", "CACHE", "1", "0", "0", "0", "1", "1"] in lines
    assert text.SAVINGS in out


def test_one_technique(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--exact", "--technique", "paravirtual", "--class", "MSR")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["wrmsr-list", "paravirtual"]]


def test_times_and_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    code, out, _ = run(capsys, "--class", "syscall", "--rounds", "2", "--json", str(report))
    assert code == 0
    assert "host cycles" in out
    found = json.loads(report.read_text())
    assert (found["format"], found["events"]) == (traps.FORMAT, EVENTS)
    trap = found["kernels"]["syscall"]["techniques"]["trap"]
    assert trap["exact"]["monitor_entries"] == 2 * EVENTS
    assert len(trap["time"]["samples"]) == 2
    assert trap["time"]["ns"]["low"] <= trap["time"]["ns"]["median"] <= trap["time"]["ns"]["high"]
    assert "qemu" not in found["kernels"]["syscall"]


def test_json_to_stdout_is_nothing_but_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--exact", "--class", "cpuid", "--json", "-")
    assert (code, list(json.loads(out)["kernels"])) == (0, ["cpuid"])


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(KERNELS)


def test_images_boot_by_themselves(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, "--images", str(tmp_path), "--class", "cpuid")[0] == 0
    image = tmp_path / "cpuid.elf"
    assert image.read_bytes() == build(KERNELS["cpuid"], EVENTS)
    code = main(["run", str(image), "--memory", "16M", "--debug-exit", "0xf4"])
    assert code == EXIT_VALUE << 1 | 1


@pytest.mark.parametrize("timed", [False, True])
def test_plots(timed: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    how = ["--rounds", "1"] if timed else ["--exact"]
    for kind in ("svg", "html", "png"):
        assert run(capsys, *how, *FEW, "--plot", str(tmp_path / f"plot.{kind}"))[0] == 0
    root = ET.parse(tmp_path / "plot.svg").getroot()
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words[0] == ("ns per event, logarithmic" if timed else "modelled cycles per event, logarithmic")
    assert {"cpuid", "wbinvd", "invd", *COLOURS} <= set(words)
    assert "<svg" in (tmp_path / "plot.html").read_text()
    with Image.open(tmp_path / "plot.png") as picture:
        assert (str(picture.width), str(picture.height)) == (root.get("width"), root.get("height"))
        assert len(picture.getcolors(1 << 24) or ()) > len(COLOURS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--class", "nonsense"], "no class, instruction or kernel 'nonsense'"),
        (["--technique", "magic"], "no technique 'magic'; there are trap, inline, native, paravirtual"),
        (["--plot", "plot.gif"], "plot.gif: a plot is .svg, .html, .png"),
        (["--rounds", "0"], "--rounds: '0' is no number from 1 on"),
        (["--against", "bochs"], "--against: cannot compare with 'bochs'"),
        (["--exact", "--against", "qemu"], "--exact measures no time"),
        (["--images", "/nowhere/at/all"], "/nowhere/at/all: no such folder"),
    ],
)
def test_refusals(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"vmm: {says}")
    assert err.count("\n") == 1


def test_qemu_that_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run(capsys, "--against", "qemu", "--class", "cpuid")
    assert (code, err) == (
        2,
        "vmm: qemu-system-x86_64 is not installed; --against qemu needs it (Debian: qemu-system-x86)\n",
    )


def test_against_qemu() -> None:
    """An event that both have is timed on both; one that QEMU has not is said to be missing."""
    program = str(packages.require_program(qemu.PROGRAM))
    with Workbench() as bench:
        watch = Stopwatch(bench, 1, program)
        timings, missing = watch.time(KERNELS["syscall"], (Technique.TRAP,))
        assert timings.keys() == {"trap", "qemu"}
        assert not missing
        timings, missing = watch.time(KERNELS["vmcall"], (Technique.TRAP,))
        assert timings.keys() == {"trap"}
        assert missing == {"qemu": "another exception is raised"}
        timings, missing = watch.time(KERNELS["rdmsr-unknown"], (Technique.TRAP,))
        assert missing == {"qemu": "the event does not happen"}


@pytest.mark.parametrize("name", ["irq-save", "wrmsr-list", "pci-config", "toggle-cr4-pge"])
def test_a_paravirtual_image_runs_on_a_bare_machine(name: str) -> None:
    program = str(packages.require_program(qemu.PROGRAM))
    with Workbench() as bench:
        (empty, event), _ = qemu.run(program, bench.image(KERNELS[name], 1000, Technique.PARAVIRTUAL))
    assert empty > 0
    assert event > 0
