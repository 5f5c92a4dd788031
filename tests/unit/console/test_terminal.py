"""Proves that a terminal on the console is raw for that time only, and that Ctrl-] and ends are noticed."""

from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from vmm.console.terminal import Terminal

WAIT = 10.0


class Ends:
    """Both ends of a pseudo-terminal, and what the terminal told."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.told: SimpleQueue[bytes | None] = SimpleQueue()
        self.before = termios.tcgetattr(self.slave)

    def join(self) -> Terminal:
        return Terminal(self.slave, self.told.put, lambda: self.told.put(None))

    def is_as_before(self) -> bool:
        # Without the pending-input bit, which the kernel keeps for itself.
        now = termios.tcgetattr(self.slave)
        return [*now[:3], now[3] & ~termios.PENDIN, *now[4:]] == self.before


@pytest.fixture
def ends() -> Iterator[Ends]:
    both = Ends()
    yield both
    os.close(both.master)
    os.close(both.slave)


def test_raw_while_joined_and_restored_behind(ends: Ends) -> None:
    with ends.join():
        assert not termios.tcgetattr(ends.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
        os.write(ends.master, b"\x03a")
        assert ends.told.get(timeout=WAIT) == b"\x03a"
    assert ends.is_as_before()


def test_restored_after_an_exception(ends: Ends) -> None:
    with pytest.raises(RuntimeError), ends.join():
        raise RuntimeError
    assert ends.is_as_before()


def test_ctrl_bracket_leaves_behind_what_came_before_it(ends: Ends) -> None:
    with ends.join():
        os.write(ends.master, b"ab\x1dcd")
        assert ends.told.get(timeout=WAIT) == b"ab"
        assert ends.told.get(timeout=WAIT) is None
    assert ends.told.empty()


def test_pipe_is_read_to_its_end_and_holds_any_byte() -> None:
    told: SimpleQueue[bytes | None] = SimpleQueue()
    read, write = os.pipe()
    os.write(write, b"a\x1db")
    os.close(write)
    with Terminal(read, told.put, lambda: told.put(None)) as terminal:
        assert told.get(timeout=WAIT) == b"a\x1db"
        while terminal.wait(0.01):
            pass
    assert told.empty()
    os.close(read)
