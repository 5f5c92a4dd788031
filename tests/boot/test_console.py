"""Proves `--console` on a terminal: an interactive busybox shell in Debian's cloud kernel, a clean
`poweroff`, Ctrl-] and a signal; the terminal is as it was after each."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from tests import initramfs
from tests.boot import cloud_kernel
from tests.guests_build import guest
from tests.packages import ROOT

PATIENCE = 60
PROMPT = "# "


class Terminal:
    """A terminal with `vmm run … --console` on it, and the person in front."""

    def __init__(self, *arguments: object) -> None:
        self._ours, self._theirs = pty.openpty()
        self._before = termios.tcgetattr(self._theirs)
        command = [sys.executable, "-m", "vmm", "run", *map(str, arguments), "--console"]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )
        self.seen = ""

    def close(self) -> None:
        """End whatever still runs."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def expect(self, text: str, *, pressing: str = "") -> None:
        """Read until `text` comes after what the last call waited for, `pressing` a key each second."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} did not come; seen: {self.seen[-2000:]!r}"
            self.type(pressing)
            if select.select([self._ours], [], [], 1)[0]:
                self.seen += os.read(self._ours, 65536).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        """Press the keys of `text`."""
        os.write(self._ours, text.encode())

    def code(self) -> int:
        """Exit code, once there is one; output is read on meanwhile, or the process could not end."""
        deadline = time.monotonic() + PATIENCE
        while (code := self.process.poll()) is None:
            assert time.monotonic() < deadline, f"vmm did not end; seen: {self.seen[-2000:]!r}"
            if select.select([self._ours], [], [], 0.05)[0]:
                self.seen += os.read(self._ours, 65536).decode(errors="replace")
        return code

    def is_restored(self) -> bool:
        """Whether every setting is what it was before."""
        return termios.tcgetattr(self._theirs) == self._before


@pytest.fixture
def shell() -> Iterator[Terminal]:
    """A shell in the guest, at its first prompt."""
    terminal = Terminal(*cloud_kernel.command(initramfs.marker_initramfs("shell")))
    try:
        terminal.expect(initramfs.MARKER)
        terminal.expect(PROMPT)
        yield terminal
    finally:
        terminal.close()


def test_shell_answers_and_powers_off(shell: Terminal) -> None:
    assert not shell.is_restored()
    shell.type("echo $((6*7))\r")
    shell.expect("\n42\r\n")
    shell.expect(PROMPT)
    # Ctrl-C is the guest's: it ends the sleep and not the VM. A shell that has not made the sleep its
    # foreground job yet ignores it, so it is pressed as a person would: until something happens.
    shell.type("echo now; sleep 1000\r")
    shell.expect("\nnow\r\n")
    shell.expect(PROMPT, pressing="\x03")
    shell.type("poweroff -f\r")
    assert shell.code() == 0
    assert shell.is_restored()


def test_a_signal_ends_it_and_restores(shell: Terminal) -> None:
    shell.process.send_signal(signal.SIGTERM)
    assert shell.code() == 128 + signal.SIGTERM
    assert shell.is_restored()


def test_ctrl_bracket_leaves(shell: Terminal) -> None:
    shell.type("\x1d")
    assert shell.code() == 0
    assert shell.is_restored()


def test_guest_that_dies_restores() -> None:
    terminal = Terminal(guest("faults/triple_fault.elf"))
    try:
        assert terminal.code() == 125
        assert terminal.is_restored()
    finally:
        terminal.close()
