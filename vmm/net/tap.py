"""TAP interfaces of the host, for those who may open them."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from vmm.errors import UsageError, one_line

DEVICE = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_NAME_BYTES = 16


def open_tap(name: str) -> int:
    """A descriptor of TAP interface `name`, which is made if there is none; the caller closes it."""
    raw = name.encode()
    if not raw or len(raw) >= _NAME_BYTES or b"/" in raw:
        raise UsageError(f"tap:{one_line(name)}: an interface's name has 1 to {_NAME_BYTES - 1} bytes")
    try:
        fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"tap:{name}: {DEVICE}: {error.strerror}; this takes root, or use user") from None
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", raw, _IFF_TAP | _IFF_NO_PI))
    except OSError as error:
        os.close(fd)
        remedy = f"have root make it: ip tuntap add {name} mode tap user {os.getuid()}"
        raise UsageError(f"tap:{name}: {error.strerror}; {remedy}") from None
    return fd
