"""The real guests: where each image is, what it is started with, and the sign that it works.

One row per image of a Debian package. A row says nothing about a machine: `find` gives the path, the
arguments for `Machine` (or `vmm run`, by the same names) and the text that `run(until=…)` waits for.
`ipxe.lkrn` is not here: its real-mode entry calls the BIOS, so it starts behind SeaBIOS and not as an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests import initramfs, packages

LINUX_CONSOLE = "console=ttyS0"


class GuestImage(NamedTuple):
    """A guest ready to start: `kwargs` are those of `Machine`, `until` is a regular expression."""

    path: Path
    kwargs: dict[str, Any]
    until: str


@dataclass(frozen=True, slots=True)
class _Row:
    package: str
    pattern: str
    until: str
    memory: str = "256M"
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Callable[[], dict[str, Any]] = dict
    """Arguments that are files, looked for only when the guest is asked for."""


def _linux(package: str, **options: str) -> _Row:
    return _Row(
        package,
        "boot/vmlinuz-*",
        initramfs.MARKER,
        options={"append": LINUX_CONSOLE, **options},
        files=lambda: {"initrd": initramfs.marker_initramfs()},
    )


def _xen_modules() -> dict[str, Any]:
    return {"modules": [(packages.require("linux-image-cloud-amd64", "boot/vmlinuz-*"), LINUX_CONSOLE)]}


def _memtest(until: str) -> _Row:
    options = {"append": "console=ttyS0,115200"}
    return _Row("memtest86+", "boot/memtest86+x64.bin", until, "16M", options)


def _u_boot(build: str) -> _Row:
    return _Row("u-boot-qemu", f"usr/lib/u-boot/{build}/u-boot.rom", r"=> ")


_XEN_APPEND = "com1=115200,8n1 console=com1 noreboot"
_ROWS = {
    "linux-cloud": _linux("linux-image-cloud-amd64"),
    "linux-generic": _linux("linux-image-amd64"),
    "linux-generic-pvh": _linux("linux-image-amd64", protocol="pvh"),
    "memtest86+": _memtest(r"Testing"),
    "memtest86+ all tests": _memtest(r"Test #10"),
    "xen": _Row(
        "xen-hypervisor-4.17-amd64",
        "boot/xen-4.17-amd64.gz",
        r"Brought up 1 CPUs",
        "512M",
        options={"append": _XEN_APPEND},
        files=_xen_modules,
    ),
    "seabios": _Row("seabios", "usr/share/seabios/bios.bin", r"No bootable device", "64M"),
    "grub": _Row("grub-firmware-qemu", "usr/share/qemu/grub.bin", r"Welcome to GRUB!", "64M"),
    "u-boot": _u_boot("qemu-x86"),
    "u-boot-64": _u_boot("qemu-x86_64"),
}
NAMES = tuple(_ROWS)


def find(name: str) -> GuestImage:
    """The guest called `name`, one of `NAMES`; its package missing skips the test (see
    `packages.require`)."""
    row = _ROWS[name]
    path = packages.require(row.package, row.pattern)
    return GuestImage(path, {"memory": row.memory, **row.options, **row.files()}, row.until)
