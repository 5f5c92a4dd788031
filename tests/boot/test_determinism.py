"""Proves that virtual time repeats: boots of Debian's cloud kernel retire the same instructions, say the
same and leave the same state, each in a process of its own, on 1, 2 and 4 CPUs, on a quiet host and on a
busy one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import initramfs
from tests.boot import cloud_kernel
from tests.boot.command import vmm_run

RUNS = 5 if os.environ.get("VMM_FUZZ") == "long" else 2
COMPARED = (
    "instructions",
    "guest_seconds",
    "serial_sha256",
    "state_sha256",
    "traps",
    "interrupts",
    "exceptions",
)
Fingerprint = dict[str, object]


def _boot(cpus: int, report: Path) -> Fingerprint:
    """What must be equal of a boot that prints the number of CPUs it sees and powers off."""
    initrd = initramfs.marker_initramfs(commands="echo processors: $(nproc)\n")
    end = vmm_run(*cloud_kernel.command(initrd), "--cpus", str(cpus), "--timeout", "60", report=report)
    assert end.code == 0, end.said
    assert f"processors: {cpus}\r\n" in end.serial
    return {key: end.report[key] for key in COMPARED}


@contextmanager
def _busy_host() -> Iterator[None]:
    """More endless loops than processors: the VM's thread loses its own all the time."""
    command = [sys.executable, "-S", "-c", "while True: pass"]
    loops = [subprocess.Popen(command) for _ in range((os.cpu_count() or 1) + 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_boots_are_equal(cpus: int, tmp_path: Path) -> None:
    first, *others = (_boot(cpus, tmp_path / f"{number}.json") for number in range(RUNS))
    assert all(other == first for other in others)


def test_a_busy_host_changes_nothing(tmp_path: Path) -> None:
    quiet = _boot(1, tmp_path / "quiet.json")
    with _busy_host():
        assert _boot(1, tmp_path / "busy.json") == quiet
