"""Proves that what a guest synced survives SIGKILL of the process it runs in: at random moments, under load,
on a redo log over a VMDK and on a raw image at once.

5 moments, 200 with `VMM_FUZZ=long`; a failure prints the moment's number. What only the host's own crash
would lose (its page cache) is not tested here but by tests/storage/test_crash.py and fuzz_image_power.c.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

from tests import disk_images, packages
from tests.boot.killed_guest import DISKS, KEPT, SLOT, SLOTS, Victim, booted, contents, slot
from tests.disk_images import tool
from vmm.storage import open_image, snapshot
from vmm.storage.check import check
from vmm.storage.convert import convert

KILLS = 200 if os.environ.get("VMM_FUZZ") == "long" else 5
SIZE = 48 << 20


def prepare(folder: Path) -> tuple[Path, Path]:
    """(VMDK, raw image) of an ext4 file system."""
    files: dict[str, bytes | str] = {"slots": bytes(SLOTS * SLOT)}
    raw = disk_images.ext4(folder / "base.img", SIZE, files, folder)
    with open_image(raw, format="raw") as source:
        convert(source, folder / "base.vmdk", "monolithicSparse")
    return folder / "base.vmdk", raw


def copies(vmdk: Path, raw: Path, folder: Path) -> tuple[Path, Path]:
    """Disks for one victim: a redo log over a copy of the VMDK, a copy of the raw image."""
    folder.mkdir()
    shutil.copy(vmdk, folder / "disk.vmdk")
    subprocess.run(["cp", "--sparse=always", raw, folder / "disk.img"], check=True)
    return snapshot.create(folder / "disk.vmdk", "before"), folder / "disk.img"


def check_image(disk: Path) -> Path:
    """Our and QEMU's opinion of the image; the file system, journal replayed, that QEMU finds in it."""
    assert [report.problems for report in check(disk) if report.problems] == []
    program, found = packages.require_program("qemu-img"), disk.with_suffix(".checked")
    kind = "raw" if disk.suffix == ".img" else "vmdk"
    if kind == "vmdk":
        done = subprocess.run(
            [program, "check", "-f", kind, disk], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run([program, "convert", "-f", kind, "-O", "raw", disk, found], check=True)
    fsck = tool("e2fsprogs", "sbin/e2fsck")
    replay = subprocess.run([fsck, "-E", "journal_only", "-p", found], capture_output=True, check=False)
    assert replay.returncode in (0, 1), replay.stdout
    done = subprocess.run([fsck, "-f", "-n", found], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return found


def check_files(found: Path, disk: str, seed: int, last: int) -> None:
    """The guest reported rounds 1 to `last`; it may have got some way through the next."""
    tree = found.with_suffix(".tree")
    tree.mkdir()
    debugfs = tool("e2fsprogs", "sbin/debugfs")
    subprocess.run([debugfs, "-R", f"rdump / {tree}", found], capture_output=True, check=True)
    for number in range(max(1, last - KEPT + 2), last + 1):
        assert (tree / f"f{number}").read_bytes() == contents(disk, seed, number), f"{disk}: file {number}"
    assert [n for n in range(1, last - KEPT + 1) if (tree / f"f{n}").exists()] == []
    slots = (tree / "slots").read_bytes()
    for number in range(max(1, last - SLOTS + 2), last + 1):
        at = number % SLOTS * SLOT
        assert slots[at : at + SLOT] == slot(number), f"{disk}: slot of round {number}"


def test_what_the_guest_synced_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    vmdk, raw = prepare(tmp_path)
    rng, synced = random.Random(1), 0
    with booted() as vm:
        for moment in range(KILLS):
            folder = tmp_path / f"{moment}"
            disks = copies(vmdk, raw, folder)
            with Victim(vm, disks, moment) as victim:
                # One in eight may be killed before or while it mounts.
                victim.listen(0 if moment % 8 == 7 else rng.randrange(1, 60), rng.uniform(0, 0.2))
            assert victim.status == -signal.SIGKILL, victim.said[-2000:]
            reports = victim.reports()
            synced += len(reports)
            for name, disk in zip(DISKS, disks, strict=True):
                rounds = [number for which, number in reports if which == name]
                assert rounds == list(range(1, len(rounds) + 1)), f"moment {moment}: {rounds}"
                found = check_image(disk)
                check_files(found, name, moment, len(rounds))
            shutil.rmtree(folder)
    print(f"{KILLS} kills, {synced} rounds reported")
    assert synced >= KILLS
