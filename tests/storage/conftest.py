"""QEMU's tools as the second opinion on every format."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests import packages

Qemu = Callable[..., str]


@pytest.fixture(scope="session")
def qemu_img() -> Qemu:
    """Runs `qemu-img`, whose exit code must be 0; what it prints."""
    return _tool("qemu-img")


@pytest.fixture(scope="session")
def qemu_io() -> Qemu:
    """Runs `qemu-io`."""
    return _tool("qemu-io")


def _tool(name: str) -> Qemu:
    program = packages.require_program(name)

    def run(*arguments: object) -> str:
        words = [str(argument) for argument in arguments]
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name} {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    return run
