"""Proves the diagnostic screen: plain text without a terminal, colours but no markup with one."""

from __future__ import annotations

import io

import pytest

from vmm.console import purple

SECTIONS = [("Registers", ["rax 0"]), ("Stack", []), ("Code", ["[bold]nop[/bold]"])]


class TerminalText(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_text() -> None:
    out = io.StringIO()
    purple.show("halted", SECTIONS, out)
    assert out.getvalue() == (
        "vmm: the guest died: halted\n\nRegisters\n  rax 0\n\nCode\n  [bold]nop[/bold]\n"
    )


def test_terminal_is_painted_and_takes_nothing_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = TerminalText()
    purple.show("halted", SECTIONS, out)
    assert "\x1b[" in out.getvalue()
    assert "[bold]nop[/bold]" in out.getvalue()
