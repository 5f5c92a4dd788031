"""Proves that --console joins a real terminal to COM1 and gives it back however the run ends."""

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
from pathlib import Path

import pytest

from tests.machine.program import ECHO, IDLE, SPIN, program

ROOT = Path(__file__).resolve().parents[2]
WAIT = 30.0


def command(image: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "vmm", "run", str(image), "--protocol", "flat", "--memory", "16M"),
        *("--timeout", str(WAIT), *options),
    ]


class Console:
    """A vmm process on a pseudo-terminal."""

    def __init__(self, image: Path, *options: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.text = b""
        self.process = subprocess.Popen(
            command(image, "--console", *options),
            cwd=ROOT,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
        )

    def expect(self, text: bytes) -> None:
        end = time.monotonic() + WAIT
        while text not in self.text and time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 4096)
        assert text in self.text
        self.text = self.text.partition(text)[2]

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def end(self) -> int:
        """Exit code of the process, with the terminal proved to be as it was."""
        code = self.process.wait(WAIT)
        now = termios.tcgetattr(self.slave)
        assert [*now[:3], now[3] & ~termios.PENDIN, *now[4:]] == self.before
        return code


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Console]:
    console = Console(program(tmp_path, ECHO))
    yield console
    console.process.kill()
    console.process.wait()
    os.close(console.master)
    os.close(console.slave)


def test_keys_go_in_and_output_comes_out(echo: Console) -> None:
    echo.expect(b"Ctrl-] leaves")
    echo.send(b"abc\x03\r")
    echo.expect(b"abc\x03\r")
    echo.send(b"\x1d")
    assert echo.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_terminal_is_restored_after_a_signal(echo: Console, number: signal.Signals) -> None:
    echo.expect(b"Ctrl-] leaves")
    echo.send(b"x")
    echo.expect(b"x")
    echo.process.send_signal(number)
    assert echo.end() == 128 + number


def test_input_from_a_pipe(tmp_path: Path) -> None:
    done = subprocess.run(
        command(program(tmp_path, ECHO), "--console", "--until", "ping"),
        cwd=ROOT,
        input=b"ping",
        capture_output=True,
        timeout=2 * WAIT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"ping")


def test_idle_in_virtual_time_ends_when_input_does(tmp_path: Path) -> None:
    options = ("--console", "--time", "virtual", "--until", "never")
    done = subprocess.run(
        command(program(tmp_path, IDLE), *options),
        cwd=ROOT,
        input=b"x",
        capture_output=True,
        timeout=2 * WAIT,
        check=False,
    )
    assert done.returncode == 124


def test_interrupt_without_a_console(tmp_path: Path) -> None:
    marked = "mov dx, 0x3f8; mov al, 65; out dx, al;" + SPIN
    process = subprocess.Popen(
        command(program(tmp_path, marked), "--time", "real"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.read(1) == b"A"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert err.startswith(b"vmm: stopped after ")
    assert b"Traceback" not in err


def test_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    flood = "mov dx, 0x3f8; mov al, 10; again: out dx, al; jmp again"
    process = subprocess.Popen(
        command(program(tmp_path, flood)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    assert process.wait(WAIT) == 141
    assert process.stderr.read() == b""
    process.stderr.close()
