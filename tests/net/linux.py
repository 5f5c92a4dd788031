"""Debian's generic kernel with its own e1000 driver and a few shell lines, on a machine with NICs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests import initramfs, packages

KERNEL = "linux-image-amd64"
DRIVER = "lib/modules/*/kernel/drivers/net/ethernet/intel/e1000/e1000.ko"
LEASE = b"""#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/${mask:-24} dev $interface
ip route add default via $router
echo "nameserver $dns" >/etc/resolv.conf
"""
DHCP = "ip link set eth0 up; udhcpc -i eth0 -n -q -s /etc/lease\n"


def static(number: int) -> str:
    """Shell lines that give eth0 the address 10.0.0.`number`."""
    return f"ip addr add 10.0.0.{number}/24 dev eth0; ip link set lo up; ip link set eth0 up\n"


def kernel() -> Path:
    """The image."""
    return packages.require(KERNEL, "boot/vmlinuz-*")


def initrd(commands: str) -> Path:
    """An initramfs that loads the driver, runs `commands`, and powers off."""
    module = packages.require(KERNEL, DRIVER)
    return initramfs.marker_initramfs(commands=commands, files={"etc/lease": LEASE}, modules=[module])


def guest(commands: str) -> dict[str, Any]:
    """Keyword arguments of `Machine`, and `image`."""
    return {
        "image": kernel(),
        "initrd": initrd(commands),
        "append": "console=ttyS0 quiet",
        "memory": "128M",
    }
