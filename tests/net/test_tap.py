"""Proves TAP interfaces, in a network namespace of their own, so that the host's network sees nothing of it.

Only where /dev/net/tun and a namespace can be had, which takes root or a device that was given away: else
there is no test here to be skipped, and the framing is tested on a socket pair (test_wires.py).
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vmm.errors import UsageError
from vmm.net.tap import DEVICE, open_tap

SCRIPT = """
import fcntl, socket, struct, threading
from vmm.monitor.cables import Framing, SwitchHandle, SwitchJack, plug_fd, plug_python
from vmm.net.tap import open_tap

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
switch, jack, came, frames = SwitchHandle(0), None, threading.Event(), []
jack = SwitchJack(switch)

def on_frame(data, when):
    if data[12:14] == b"\\x88\\xb5":
        frames.append(data)
        came.set()

plug_python(jack, on_frame)
plug_fd(SwitchJack(switch), open_tap("vmmtest0"), Framing.TAP)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    request = struct.pack("16sH22x", b"vmmtest0", 0)
    flags = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)[0]
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", b"vmmtest0", flags | IFF_UP))
host = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
host.bind(("vmmtest0", 0x88B5))
host.settimeout(20)
out = b"\\xff" * 6 + b"\\2\\0\\0\\0\\0\\1" + b"\\x88\\xb5" + bytes(50)
host.send(out)
assert came.wait(20) and frames == [out], frames
back = out[:11] + b"\\2" + out[12:]
jack.give(back, 0)
assert host.recv(2000) == back
print("both ways")
"""


def _can() -> bool:
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return False
    return subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0


if _can():

    def test_frames_both_ways() -> None:
        command = ["unshare", "-n", sys.executable, "-c", SCRIPT]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout == "both ways\n", done.stderr


@pytest.mark.parametrize("name", ["", "a/b", "x" * 16])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match="1 to 15 bytes"):
        open_tap(name)
