"""A micro-kernel under QEMU's TCG: the same image, timed from outside by its marks."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from pathlib import Path

from vmm.bench.skeleton import DIFFERS, EXIT_PORT, MARKS, UNEXPECTED, VERIFIED
from vmm.errors import UsageError
from vmm.monitor import host_cycles

PROGRAM = "qemu-system-x86_64"
_LESS = (
    "rdrand",
    "rdseed",
    "smap",
    "umip",
    "rdpid",
    "monitor",
    "svm",
    "xsaves",
    "invpcid",
    "wbnoinvd",
    "pku",
)
CPU = "max,vendor=GenuineIntel," + ",".join(f"-{feature}" for feature in _LESS)
"""What TCG has, less what vmm's model has not; of Intel, whose SYSENTER works in 64-bit mode."""

_SECONDS = 30.0


class NoSuchEventError(Exception):
    """The kernel's event does not happen under QEMU: one line of why."""


def find() -> str:
    """Where QEMU is; UsageError if it is not installed."""
    path = shutil.which(PROGRAM)
    if path is None:
        raise UsageError(f"{PROGRAM} is not installed; --against qemu needs it (Debian: qemu-system-x86)")
    return path


def command(program: str, image: Path) -> list[str]:
    """One thread, no device that a kernel does not use."""
    return [
        *(program, "-accel", "tcg,thread=single", "-machine", "pc", "-cpu", CPU, "-m", "16"),
        *("-nodefaults", "-display", "none", "-no-reboot", "-debugcon", "stdio"),
        *("-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4", "-kernel", str(image)),
    ]


def run(program: str, image: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Host ns of an image's empty loop and of its event's, and host cycles. NoSuchEventError if it does not
    say that its events happened."""
    with subprocess.Popen(
        command(program, image), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            reader = _Reader(process.stdout.fileno())
            passed = [_reach(reader, mark) for mark in MARKS]
            _reach(reader, VERIFIED)
        finally:
            process.kill()
    ns, cycles = zip(*passed, strict=True)
    return (ns[1] - ns[0], ns[2] - ns[1]), (cycles[1] - cycles[0], cycles[2] - cycles[1])


def _reach(reader: _Reader, mark: str) -> tuple[int, int]:
    said = reader.line()
    ns, cycles = time.perf_counter_ns(), host_cycles()
    if said != mark:
        reasons = {
            UNEXPECTED: "another exception is raised",
            DIFFERS: "the event does not happen",
            "": "QEMU stops or hangs",
        }
        raise NoSuchEventError(reasons.get(said, f"says {said!r}"))
    return ns, cycles


class _Reader:
    """Lines from a pipe, as they come."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._deadline = time.monotonic() + _SECONDS
        self._buffer = b""

    def line(self) -> str:
        """The next line, or nothing at the end of time or output."""
        while b"\n" not in self._buffer:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
                return ""
            chunk = os.read(self._descriptor, 4096)
            if not chunk:
                return ""
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("latin-1")
