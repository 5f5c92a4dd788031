"""Proves the exit code of every way a run can end."""

from __future__ import annotations

import pytest

from vmm.cli.outcome import exit_code
from vmm.errors import GuestDied
from vmm.machine import Outcome, RunResult


def result(outcome: Outcome, value: int | None = None) -> RunResult:
    return RunResult(outcome, None, value, 1, 1.0, 1.0, None)


@pytest.mark.parametrize(
    ("outcome", "sign_asked", "code"),
    [
        (Outcome.UNTIL, True, 0),
        (Outcome.POWEROFF, True, 0),
        (Outcome.POWEROFF, False, 0),
        (Outcome.RESET, False, 0),
        (Outcome.RESET, True, 125),
        (Outcome.TIMEOUT, True, 124),
        (Outcome.DIED, False, 125),
    ],
)
def test_exit_code(outcome: Outcome, sign_asked: bool, code: int) -> None:
    assert exit_code(result(outcome), sign_asked=sign_asked) == code


@pytest.mark.parametrize(("value", "code"), [(0, 1), (1, 3), (0x10, 33), (0x11, 35), (0x80, 1), (0xFF, 255)])
def test_debug_exit_code_is_qemus(value: int, code: int) -> None:
    assert exit_code(result(Outcome.DEBUG_EXIT, value), sign_asked=False) == code


def test_signals_and_leaving_the_console() -> None:
    stopped = result(Outcome.STOPPED)
    assert exit_code(stopped, sign_asked=False, signal_number=2) == 130
    assert exit_code(stopped, sign_asked=False, signal_number=15) == 143
    assert exit_code(stopped, sign_asked=False) == 0


def test_require_raises_for_another_outcome() -> None:
    assert result(Outcome.UNTIL).require().outcome is Outcome.UNTIL
    assert result(Outcome.POWEROFF).require(Outcome.UNTIL, Outcome.POWEROFF)
    with pytest.raises(GuestDied, match=r"ended with timeout after 1\.000 guest seconds"):
        result(Outcome.TIMEOUT).require()
