"""Proves networks with real drivers: Debian's Linux on the user-mode network, on a switch that processes
share, and with QEMU's guests as foreign peers."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import packages
from tests.net import linux
from vmm import Machine, Outcome

DOWNLOAD = (64 if os.environ.get("VMM_FUZZ") == "long" else 16) << 20
UPLOAD = 1 << 20
WAIT = 120.0

# busybox's nc leaves at the end of its input: the server's has none.
SERVER = "mkfifo /tmp/open; nc -l -p 7000 <>/tmp/open >/tmp/got; sha256sum /tmp/got\n"


def client(server: int) -> str:
    send = f"nc 10.0.0.{server} 7000 </tmp/file"
    return f"yes 0123456 | head -c {UPLOAD} >/tmp/file\nuntil {send}; do sleep 1; done\n"


DIGEST = hashlib.sha256(b"0123456\n" * (UPLOAD // 8)).hexdigest()


@contextmanager
def http_server(data: bytes) -> Iterator[int]:
    """The port of a server on the host that answers every GET with `data`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_download_through_the_user_network() -> None:
    data = hashlib.shake_128(b"file").digest(DOWNLOAD)
    with http_server(data) as port:
        commands = linux.DHCP + f"wget -q -O - http://10.0.2.2:{port}/ | sha256sum\n"
        with Machine(**linux.guest(commands), nics=["user"]) as vm:
            vm.run(timeout=WAIT).require(Outcome.POWEROFF)
            assert "lease of 10.0.2.15 obtained from 10.0.2.2" in vm.serial.text
            assert hashlib.sha256(data).hexdigest() in vm.serial.text
            counters = vm.nic_counters[0]
            assert counters.rx_bytes > DOWNLOAD
            assert counters.tx_frames > 0


class Other:
    """A guest in a process of its own."""

    def __init__(self, *command: str | Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            list(map(str, command)),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def end(self) -> str:
        try:
            said, _ = self.process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            said, _ = self.process.communicate()
        return said.decode(errors="replace")


def qemu(commands: str, netdev: str) -> Other:
    """Debian's kernel under QEMU."""
    return Other(
        packages.require_program("qemu-system-x86_64"),
        *(
            "-accel",
            "tcg",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-monitor",
            "none",
            "-no-reboot",
            "-m",
            "128",
        ),
        *("-kernel", linux.kernel(), "-initrd", linux.initrd(commands), "-append", "console=ttyS0 quiet"),
        *("-netdev", netdev, "-device", "e1000,netdev=n,mac=52:54:00:12:34:56"),
    )


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_guests_of_two_processes_talk_tcp(runtime: Path) -> None:
    import sys

    other = Other(
        *(sys.executable, "-m", "vmm", "run", linux.kernel(), "--initrd"),
        *(linux.initrd(linux.static(2) + client(1)), "--append", "console=ttyS0 quiet", "--memory", "128M"),
        *("--nic", "switch:lab,vlan=10", "--timeout", "120"),
    )
    with Machine(**linux.guest(linux.static(1) + SERVER), nics=["switch:lab,vlan=10"]) as vm:
        end = vm.run(timeout=WAIT)
        said = other.end()
        assert end.outcome is Outcome.POWEROFF, vm.serial.text + said
        assert DIGEST in vm.serial.text, said


def test_a_guest_of_qemu_on_a_shared_switch(runtime: Path) -> None:
    address = f"addr.type=unix,addr.path={runtime}/vmm/lab.sock"
    with Machine(**linux.guest(linux.static(1) + SERVER), nics=["switch:lab"]) as vm:
        # The switch is there from now on.
        other = qemu(linux.static(2) + client(1), f"stream,id=n,server=off,{address}")
        end = vm.run(timeout=WAIT)
        said = other.end()
        assert end.outcome is Outcome.POWEROFF, vm.serial.text + said
        assert DIGEST in vm.serial.text, said


def test_a_guest_of_qemu_by_datagrams(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    remote = f"local.type=unix,local.path={theirs},remote.type=unix,remote.path={ours}"
    other = qemu(linux.static(2) + SERVER, f"dgram,id=n,{remote}")
    try:
        _wait_for(theirs)
        nic = f"dgram:{ours},peer={theirs}"
        with Machine(**linux.guest(linux.static(1) + client(2)), nics=[nic]) as vm:
            end = vm.run(timeout=WAIT)
            assert end.outcome is Outcome.POWEROFF, vm.serial.text
    finally:
        said = other.end()
    assert DIGEST in said


def _wait_for(path: Path) -> None:
    """Until a program has made its socket; `inotifywait` in a few lines would be more than this."""
    ended = threading.Event()
    for _ in range(600):
        if path.exists():
            return
        ended.wait(0.05)
    pytest.fail(f"{path} never came")
