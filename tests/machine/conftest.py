"""The project's guests, built once."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from tests.guests_build import GUESTS, build_guests


@pytest.fixture(scope="session")
def guests() -> Path:
    """The build folder of guests/, up to date."""
    folder = GUESTS / "build"
    folder.mkdir(exist_ok=True)
    # Several test processes may run: make must not.
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_guests(folder)
