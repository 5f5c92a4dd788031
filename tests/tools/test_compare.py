"""Proves that the benchmark's runner times to the sign, takes turns, and names a contender that fails."""

from __future__ import annotations

import sys

import pytest

from bench.compare import Contender, Run, RunError, interleaved, report, table

SIGN = "^SIGN"
FOREVER = "import threading; print('early'); print('SIGN', flush=True); threading.Event().wait()"


def program(name: str, source: str, *, ends: bool = False) -> Contender:
    return Contender(name, [sys.executable, "-S", "-c", source], ends=ends)


def test_contenders_take_turns() -> None:
    pair = [program("a", "print('SIGN')"), program("b", "print('SIGN')", ends=True)]
    names = [name for name, _ in interleaved(pair, SIGN, runs=3, timeout=30)]
    assert names == ["a", "b", "b", "a", "a", "b"]


def test_contender_is_stopped_at_the_sign() -> None:
    ((_, run),) = interleaved([program("a", FOREVER)], SIGN, runs=1, timeout=30)
    assert 0 < run.wall < 30
    assert run.cpu > 0


def test_contender_that_ends_without_the_sign_is_named() -> None:
    with pytest.raises(RunError, match=r"quiet: ended without .*SIGN.*not a SIGN"):
        list(interleaved([program("quiet", "print('not a SIGN')")], SIGN, runs=1, timeout=30))


def test_contender_that_never_shows_the_sign_is_ended() -> None:
    with pytest.raises(RunError, match=r"slow: ran 0\.2 s without"):
        list(interleaved([program("slow", "import time; time.sleep(60)")], SIGN, runs=1, timeout=0.2))


def test_contender_that_should_end_and_does_not_is_named() -> None:
    with pytest.raises(RunError, match="stuck: showed the sign but did not end"):
        list(interleaved([program("stuck", FOREVER, ends=True)], SIGN, runs=1, timeout=0.5))


def test_details_are_read_after_the_run() -> None:
    contender = Contender("a", [sys.executable, "-c", "print('SIGN')"], details=lambda: {"instructions": 7})
    ((_, run),) = interleaved([contender], SIGN, runs=1, timeout=30)
    assert run.details == {"instructions": 7}


def test_ratio_is_of_medians() -> None:
    results = {"vmm": [Run(1, 1), Run(2, 2), Run(9, 3)], "qemu": [Run(4, 8), Run(4, 8), Run(5, 8)]}
    summary = report(results, "vmm", "qemu")
    assert summary["ratio"] == {"wall": 0.5, "cpu": 0.25}
    assert summary["vmm"]["wall"] == {"median": 2, "low": 1, "high": 9}
    assert "0.500" in table(summary).splitlines()[-1]


def test_no_ratio_for_one_contender() -> None:
    summary = report({"vmm": [Run(1, 1)]}, "vmm", "qemu")
    assert "ratio" not in summary
    assert "vmm" in table(summary)
