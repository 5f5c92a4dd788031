"""Proves that a guest boots whose clocks follow the host's, however late the host lets it run: Debian's cloud
kernel, boot after boot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import initramfs
from tests.boot import cloud_kernel
from tests.boot.command import vmm_run

BOOTS = 20 if os.environ.get("VMM_FUZZ") == "long" else 2
WALL_SECONDS = 120
"""Many times what a boot takes, as other tests run beside this one."""
APART_SECONDS = 0.5
"""A loaded host may hold the process up between the two readings."""


@pytest.mark.parametrize("number", range(BOOTS))
def test_boots_in_real_time(number: int, tmp_path: Path) -> None:
    arguments = cloud_kernel.command(initramfs.marker_initramfs())
    limit = ("--time", "real", "--until", f"^{initramfs.MARKER}", "--timeout", str(WALL_SECONDS))
    end = vmm_run(*arguments, *limit, report=tmp_path / f"{number}.json")
    assert end.code == 0, end.serial[-2000:] + end.said
    assert end.report["outcome"] == "until"


def test_guest_clock_follows_the_host(tmp_path: Path) -> None:
    """A guest that sleeps two seconds takes two. Its clock is the host's from the first instruction on; the
    two are read at slightly different moments, so they may differ by what lies between."""
    initrd = initramfs.marker_initramfs(commands="sleep 2\n")
    limit = ("--time", "real", "--timeout", str(WALL_SECONDS))
    end = vmm_run(*cloud_kernel.command(initrd), *limit, report=tmp_path / "run.json")
    assert end.code == 0, end.serial[-2000:] + end.said
    assert end.report["guest_seconds"] > 2
    assert abs(end.report["guest_seconds"] - end.report["wall_seconds"]) < APART_SECONDS
