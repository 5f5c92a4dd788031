"""Debian's cloud kernel on the command line: the guest that runs are compared by."""

from __future__ import annotations

from pathlib import Path

from tests import guest_images, packages

PACKAGE, PATTERN = "linux-image-cloud-amd64", "boot/vmlinuz-*"


def command(initrd: Path, *, memory: str = "256M", append: str = "") -> list[str | Path]:
    """Arguments of `vmm run` that boot it with `initrd`, its console on COM1 and `append` behind that."""
    kernel = packages.require(PACKAGE, PATTERN)
    line = f"{guest_images.LINUX_CONSOLE} {append}".rstrip()
    return [kernel, "--initrd", initrd, "--append", line, "--memory", memory]
