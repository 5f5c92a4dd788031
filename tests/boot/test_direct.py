"""Proves that direct execution does not show: a boot of Debian's cloud kernel with hot loops on the host's
processor ends as one without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import initramfs
from tests.boot import cloud_kernel
from tests.boot.command import vmm_run

COMPARED = (
    "instructions",
    "guest_seconds",
    "serial_sha256",
    "state_sha256",
    "traps",
    "interrupts",
    "exceptions",
)


def _boot(cpus: int, direct: str, report: Path) -> dict[str, Any]:
    """What a boot leaves that runs programs and powers off."""
    initrd = initramfs.marker_initramfs(commands="ls -lR /bin | md5sum; dmesg | sha256sum\n")
    command = cloud_kernel.command(initrd)
    end = vmm_run(*command, "--cpus", str(cpus), "--direct", direct, "--timeout", "60", report=report)
    assert end.code == 0, end.said
    return end.report


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_boot_ends_as_without(cpus: int, tmp_path: Path) -> None:
    plain = _boot(cpus, "off", tmp_path / "off.json")
    direct = _boot(cpus, "on", tmp_path / "on.json")
    assert plain["engine_counters"]["direct_loops"] == 0
    assert direct["engine_counters"]["direct_loops"] > 100
    assert {key: direct[key] for key in COMPARED} == {key: plain[key] for key in COMPARED}
    counters = ("tlb_fills", "tlb_flushes", "blocks", "code_invalidations", "safe_points")
    assert [direct["engine_counters"][key] for key in counters] == [
        plain["engine_counters"][key] for key in counters
    ]
