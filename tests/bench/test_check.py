"""Proves `vmm bench check`: an extra trap planted in a guest is found and named with its class and site; what
fell is told; what is no baseline is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vmm.bench import baseline, exact, recipes, traps
from vmm.cli import main

CLASSES = ("--class", "clts", "--class", "invlpg")


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A baseline of two kernels (and what shares their classes' names)."""
    path = tmp_path / "baseline.json"
    assert main(["bench", "traps", "--exact", *CLASSES, "--json", str(path)]) == 0
    capsys.readouterr()
    return path


def check(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["bench", "check", str(path), *CLASSES])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def plant(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    kernels = dict(recipes.KERNELS)
    kernels["clts"] = replace(kernels["clts"], **changes)
    monkeypatch.setattr(traps, "KERNELS", kernels)


def test_nothing_rose(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = check(made, capsys)
    assert (code, out.splitlines()[-1].endswith(", 0 of them rose")) == (0, True)


def test_a_planted_trap_is_named_with_its_class_and_site(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, body="clts; cpuid")
    code, out = check(made, capsys)
    assert code == 1
    (line,) = (line for line in out.splitlines() if line.startswith("worse: clts (trap"))
    assert "monitor entries 1000 -> 2000" in line
    assert "traps of class CPUID 0 -> 1000" in line
    assert "site event+0x2 CPUID (0fa2, class CPUID) 0 -> 1000 hits" in line
    assert "invlpg" not in out


def test_one_more_in_a_thousand_is_enough(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, body="clts; cmp r15, 500; jne on; cpuid; on: nop")
    code, out = check(made, capsys)
    assert code == 1
    assert "traps of class CPUID 0 -> 1;" in out or "traps of class CPUID 0 -> 1," in out
    assert "CPUID (0fa2, class CPUID) 0 -> 1 hits" in out


def test_what_fell_is_told_and_does_not_fail(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, body="nop")
    code, out = check(made, capsys)
    assert code == 0
    assert "note: clts (trap, class MSW): " in out
    assert "monitor entries 1000 -> 0" in out


def report_of(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", ["instructions", "monitor_entries", "guest_ns", "cycles", "site_hits"])
def test_every_figure_counts(made: Path, name: str) -> None:
    before, now = report_of(made), report_of(made)
    now["kernels"]["clts"]["techniques"]["trap"]["exact"][name] += 1
    (worse,) = baseline.compare(before, now)
    assert worse.worse
    assert f": {name.replace('_', ' ')} " in worse.text
    (better,) = baseline.compare(now, before)
    assert not better.worse


def test_kernels_that_come_and_go(made: Path) -> None:
    before, now = report_of(made), report_of(made)
    del now["kernels"]["clts"]
    assert [(one.worse, one.text) for one in baseline.compare(before, now)] == [
        (True, "clts: there is no such kernel any more")
    ]
    assert [one.worse for one in baseline.compare(now, before)] == [False]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 0, "kernels": {}}', '{"format": 1, "kernels": 3}']
)
def test_what_is_no_baseline_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    code, out = check(path, capsys)
    assert code == 2
    assert out.startswith(f"vmm: {path}: no ")


def test_a_baseline_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = check(tmp_path / "none.json", capsys)
    assert (code, "cannot read it" in out) == (2, True)


def test_another_number_of_events_cannot_be_compared(made: Path) -> None:
    before = {**report_of(made), "events": exact.EVENTS + 1}
    assert [one.worse for one in baseline.compare(before, report_of(made))] == [True]
