"""Proves `vmm disk` from end to end: what it prints, exit codes, JSON, no half files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vmm.cli import main
from vmm.storage import open_image
from vmm.storage.create import create

COMMANDS = ("create", "info", "convert", "check", "snapshot", "map", "grow", "track")


def vmm(*words: object) -> int:
    return main(["disk", *(str(word) for word in words)])


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    capsys.readouterr()
    assert vmm(*words, "--json", "-") == 0
    return json.loads(capsys.readouterr().out)


def test_help_names_and_shows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["disk", "--help"]) == 0
    text = capsys.readouterr().out
    assert [name for name in COMMANDS if f"  {name} " not in text] == []
    for name in COMMANDS:
        assert vmm(name, "--help") == 0
        assert f"vmm disk {name}" in capsys.readouterr().out.partition("Examples:")[2]


def test_a_life_of_a_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "web.vmdk"
    assert vmm("create", disk, "10M") == 0
    first = printed(capsys, "track", disk)["id"]
    with open_image(disk, write=True) as image:
        image.layer.write(1 << 20, b"\1" * 65536)
    assert printed(capsys, "map", disk) == [{"offset": 1 << 20, "length": 65536, "file": str(disk)}]
    redo = printed(capsys, "snapshot", disk, "--create", "before")["disk"]
    assert Path(redo).name == "web-000001.vmdk"
    assert [one["name"] for one in printed(capsys, "snapshot", disk)["snapshots"]] == ["before"]
    info = printed(capsys, "info", redo)
    assert [level["file"] for level in info["chain"]] == [redo, str(disk)]
    assert (info["format"], info["size"], info["tracked"]) == ("vmdk", 10 << 20, True)
    assert printed(capsys, "map", redo, "--since", first) == []
    assert vmm("grow", redo, "+2M") == 0
    assert printed(capsys, "snapshot", disk, "--commit")["disk"] == str(disk)
    assert printed(capsys, "info", disk)["size"] == 12 << 20
    done = printed(capsys, "convert", disk, tmp_path / "web.img")
    assert (done["type"], done["size"], done["written"]) == ("raw", 12 << 20, 65536)


def test_exit_codes_of_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "web.vmdk"
    create(disk, 10 << 20, "monolithicSparse")
    with open_image(disk, write=True) as image:
        image.layer.write(0, b"\1" * 65536)
    assert vmm("check", disk) == 0
    with disk.open("ab") as file:
        file.write(bytes(1 << 20))
    assert vmm("check", disk) == 3
    assert "lost space: 1M" in capsys.readouterr().out
    assert vmm("check", disk, "--repair") == 0
    with disk.open("rb+") as file:
        file.truncate(disk.stat().st_size - 65536)
    assert vmm("check", disk) == 1
    assert "problem: grain 0 is at sector" in capsys.readouterr().out
    assert vmm("check", tmp_path / "nothing") == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("create", "a.img", "1Q"), "'1Q' is not a size"),
        (("create", "a.img", "1M", "--type", "qcow2"), "qcow2 images are only read; make a vmdk"),
        (("create", "a.img", "1M", "--type", "vhd"), "unknown disk type 'vhd'; choose from vmdk, raw"),
        (("create", "no/a.img", "1M"), "the folder"),
        (("info", "a.img"), "a.img: there is no such file"),
        (("snapshot", "a.img", "--create", "x", "--commit"), "are different actions; give one"),
        (("track", "a.img"), "a.img: there is no such file"),
    ],
)
def test_errors_are_one_line(
    words: tuple[str, ...],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert vmm(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("vmm: ") and line in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_conversion_leaves_no_file(number: signal.Signals, tmp_path: Path) -> None:
    source, target = tmp_path / "source.img", tmp_path / "target.vmdk"
    with source.open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
    words = ["-m", "vmm", "disk", "convert", str(source), str(target), "--type", "streamOptimized"]
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE) as child:
        # The temporary file says that the conversion is under way.
        while child.poll() is None and not any(path.suffix == ".part" for path in tmp_path.iterdir()):
            os.sched_yield()
        child.send_signal(number)
        child.communicate()
    assert child.returncode == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["source.img"]
