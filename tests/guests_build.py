"""Builds the project's own guest kernels for tests."""

from __future__ import annotations

import fcntl
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUESTS = ROOT / "guests"


def build_guests(folder: Path, **variables: str) -> Path:
    """Run guests/Makefile with build folder `folder` and `variables` (such as N="1000"); returns `folder`."""
    settings = [f"{name}={value}" for name, value in {"BUILD": str(folder), **variables}.items()]
    done = subprocess.run(
        ["make", "-s", "-j2", "-C", str(GUESTS), *settings], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def guest(name: str, *, short: bool = False) -> Path:
    """Guest `name` (such as `boot/rom.bin`) in guests/build, where `make guests` builds it too; `short` is
    from a build of its own, in which the guests that count do so a hundred times less."""
    if short:
        return _locked_build(ROOT / ".cache" / "guests-short", N="100000") / name
    return _locked_build(GUESTS / "build") / name


@functools.cache
def _locked_build(folder: Path, **variables: str) -> Path:
    # Tests run in several processes, which would build over each other.
    (ROOT / ".cache").mkdir(exist_ok=True)
    with (ROOT / ".cache" / "guests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_guests(folder, **variables)
