"""Proves that a disk has one writer at a time, that QEMU's tools respect it, that the holder is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import packages
from vmm.cli import main
from vmm.errors import UsageError
from vmm.storage import open_image
from vmm.storage.create import create

HOLD = """
import sys
from pathlib import Path
from vmm.storage import open_image
image = open_image(Path(sys.argv[1]), write=sys.argv[2] == "write")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "web.vmdk"
    create(path, 1 << 20, "monolithicSparse")
    return path


def holder(disk: Path, mode: str) -> subprocess.Popen[str]:
    """A process that has the disk open until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, disk, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_two_writers(disk: Path) -> None:
    with holder(disk, "write") as other:
        with pytest.raises(UsageError, match=rf"in use by python\S* \(pid {other.pid}\)"):
            open_image(disk, write=True)
        with pytest.raises(UsageError, match="cannot be read at the same time"):
            open_image(disk)
        other.communicate()
    open_image(disk, write=True).close()


def test_many_readers_and_no_writer(disk: Path) -> None:
    with holder(disk, "read") as other:
        open_image(disk).close()
        with pytest.raises(UsageError, match="cannot be written at the same time"):
            open_image(disk, write=True)
        other.communicate()


def test_a_killed_holder_leaves_no_lock(disk: Path) -> None:
    with holder(disk, "write") as other:
        other.kill()
    open_image(disk, write=True).close()


def test_info_looks_at_a_disk_in_use(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with holder(disk, "write") as other:
        assert main(["disk", "info", str(disk)]) == 0
        assert "vmdk monolithicSparse" in capsys.readouterr().out
        assert main(["disk", "check", str(disk)]) == 2
        assert "in use by" in capsys.readouterr().err
        other.communicate()


def test_qemu_sees_our_lock(disk: Path) -> None:
    program = packages.require_program("qemu-io")
    with open_image(disk, write=True):
        done = subprocess.run(
            [program, "-c", "write 0 512", disk], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "lock" in done.stderr


def test_we_see_the_lock_of_qemu(disk: Path) -> None:
    program = packages.require_program("qemu-io")
    with subprocess.Popen(
        [program, disk], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "TERM": "dumb"}
    ) as qemu:
        assert qemu.stdin and qemu.stdout
        qemu.stdin.write(b"length\n")
        qemu.stdin.flush()
        answer = b""
        while b"MiB" not in answer:
            answer += os.read(qemu.stdout.fileno(), 100)
        with pytest.raises(UsageError, match=rf"in use by qemu-io \(pid {qemu.pid}\)"):
            open_image(disk, write=True)
        qemu.communicate(b"quit\n")


def test_the_layers_keep_the_lock_when_our_descriptor_is_closed(disk: Path) -> None:
    image = open_image(disk, write=True)
    image.close_files()
    with pytest.raises(UsageError, match="in use"):
        open_image(disk)
    image.close()
    open_image(disk).close()
