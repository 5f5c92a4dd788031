"""Proves disk images with a real guest: Debian on ext4 in a VMDK, over a redo log, across a commit."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import packages
from tests.boot import linux_disk
from tests.disk_images import FIRST_SECTOR, tool
from vmm import Machine, Outcome
from vmm.storage import open_image, snapshot
from vmm.storage.check import check
from vmm.storage.convert import convert

GUEST_SECONDS = 60
NUMBERS_MD5 = hashlib.md5(
    "".join(f"{number}\n" for number in range(1, 200_001)).encode(), usedforsecurity=False
).hexdigest()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Debian with GRUB, converted to a sparse VMDK."""
    raw, target = linux_disk.build(tmp_path), tmp_path / "web.vmdk"
    with open_image(raw) as source:
        convert(source, target, "monolithicSparse")
    raw.unlink()
    return target


def session(disk: Path, command: str, sign: str) -> None:
    """Boot from the disk, type a command at the shell, see a sign, power off."""
    bios = packages.require("seabios", "usr/share/seabios/bios-256k.bin")
    with Machine(bios, memory="512M", disks=[disk], boot="disk") as vm:
        for typed, shown in ((None, linux_disk.PROMPT), (f"{command}\n", sign)):
            if typed:
                vm.serial.send(typed)
            result = vm.run(until=shown, timeout=GUEST_SECONDS)
            assert result.outcome == Outcome.UNTIL, f"{result}\n{vm.serial.text[-2000:]}"
        vm.serial.send("poweroff -f\n")
        assert vm.run(timeout=GUEST_SECONDS).outcome == Outcome.POWEROFF
        assert [stats.errors for _, stats in vm.disks] == [0]


def check_file_system(disk: Path, folder: Path) -> None:
    """e2fsck's opinion of the first partition, read by qemu-img."""
    raw, partition = folder / "checked.img", folder / "checked.part"
    program = packages.require_program("qemu-img")
    subprocess.run([program, "convert", "-O", "raw", disk, raw], check=True)
    with raw.open("rb") as source, partition.open("wb") as target:
        source.seek(FIRST_SECTOR * 512)
        shutil.copyfileobj(source, target, 1 << 20)
    # The guest powers off with its root mounted: the journal is replayed first, and then all must be right.
    fsck = tool("e2fsprogs", "sbin/e2fsck")
    subprocess.run([fsck, "-p", partition], capture_output=True, check=False)
    done = subprocess.run([fsck, "-f", "-n", partition], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def console(disk: Path) -> subprocess.Popen[bytes]:
    """`vmm run` from the disk, its serial port joined to pipes."""
    bios = packages.require("seabios", "usr/share/seabios/bios-256k.bin")
    words = ["-m", "vmm", "run", str(bios), "--memory", "512M", "--disk", str(disk), "--boot", "disk"]
    words += ["--console", "--time", "virtual"]
    return subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def heard(process: subprocess.Popen[bytes], sign: bytes) -> None:
    """Read the console up to a sign."""
    assert process.stdout is not None
    text = b""
    while sign not in text:
        more = os.read(process.stdout.fileno(), 4096)
        assert more, text[-2000:]
        text += more


def test_what_the_guest_synced_survives_the_death_of_vmm(disk: Path, tmp_path: Path) -> None:
    loop = b"n=0; while :; do n=$((n+1)); echo note $n > /root/note-$n; sync; echo synced-$n; done\n"
    with console(disk) as process:
        assert process.stdin is not None
        heard(process, linux_disk.PROMPT.encode())
        process.stdin.write(loop)
        process.stdin.flush()
        heard(process, b"synced-9\r")
        process.kill()
    assert [report.problems for report in check(disk) if report.problems] == []
    check_file_system(disk, tmp_path)
    debugfs = [
        str(tool("e2fsprogs", "sbin/debugfs")),
        "-R",
        "cat /root/note-9",
        str(tmp_path / "checked.part"),
    ]
    assert subprocess.run(debugfs, capture_output=True, check=True).stdout == b"note 9\n"


def test_debian_on_a_redo_log(disk: Path, tmp_path: Path) -> None:
    before = disk.read_bytes()
    redo = snapshot.create(disk, "installed")
    session(redo, "seq 1 200000 > /root/numbers; rm /etc/hostname; sync; echo do''ne", "done")
    assert disk.read_bytes() == before
    assert [report.problems for report in check(redo) if report.problems] == []
    check_file_system(redo, tmp_path)
    assert snapshot.commit(redo) == disk
    session(disk, "test -e /etc/hostname || md5sum < /root/numbers", NUMBERS_MD5)
    check_file_system(disk, tmp_path)
