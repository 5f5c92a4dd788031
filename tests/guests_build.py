"""Builds the project's own guest kernels for tests, out of the source tree."""

from __future__ import annotations

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
