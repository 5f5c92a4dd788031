"""Proves that help teaches: every option, examples, exit codes; and that models and insns list theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vmm.cli import main
from vmm.config.version import VERSION

OPTIONS = (
    *("--append", "--initrd", "--module", "--memory", "--cpus", "--cpu", "--time", "--until", "--timeout"),
    *("--sbe", "--policy", "--serial", "--screen", "--keys", "--debug-exit", "--trace", "--json"),
    *("--console", "--disk", "--cdrom", "--boot"),
)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_help_of_run(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "run", "--help")
    assert [option for option in OPTIONS if f"  {option} " not in text] == []
    assert "Examples:" in text
    for code in ("(v<<1)|1", "124 ", "125 ", "70 "):
        assert code in text


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--help")
    assert [command for command in ("run", "sbe", "models", "insns") if f"  {command} " not in text] == []
    assert shown(capsys, "--version").startswith(f"vmm {VERSION}, Unicorn ")


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "models").startswith("vmm64 ")


def test_insns(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = shown(capsys, "insns").splitlines()
    assert lines[0].split()[:2] == ["name", "instruction"]
    assert shown(capsys, "insns", "--json", str(tmp_path / "insns.json")) == ""
    rows = json.loads((tmp_path / "insns.json").read_text())
    assert len(rows) == len(lines) - 1
    assert {"CPUID", "WRMSR", "HLT"} <= {row["id"] for row in rows}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("sbe", ("--run", "--report", "--symbols")),
        ("bench image", ("--symbols", "--flame", "--top", "--until")),
    ],
)
def test_help_of_what_looks_into_images(
    command: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, *command.split(), "--help")
    assert [option for option in options if f"  {option} " not in text] == []
    assert "Examples:" in text
