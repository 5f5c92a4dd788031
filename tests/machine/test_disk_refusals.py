"""Proves how the real `vmm run` refuses disks and network adapters: one line, exit code 2, every file as it
was; and what a host that cannot write means to a guest."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests import initramfs, kernel_modules, packages
from tests.boot.command import Ended, vmm_run
from tests.machine.program import SPIN, program
from vmm.storage import open_image, snapshot
from vmm.storage.check import check
from vmm.storage.create import create

SIZE = 1 << 20
MIB = 1 << 20
SAME_MAC = "none,mac=00:0c:29:00:00:01"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of every fate."""
    folder = tmp_path_factory.mktemp("disks")
    program(folder, SPIN)
    for name in ("good", "base", "lost", "split"):
        create(
            folder / f"{name}.vmdk", SIZE, "twoGbMaxExtentSparse" if name == "split" else "monolithicSparse"
        )
    create(folder / "raw.img", SIZE, "raw")
    snapshot.create(folder / "base.vmdk", "one")
    snapshot.create(folder / "lost.vmdk", "one")
    (folder / "lost.vmdk").unlink()
    (folder / "split-s001.vmdk").unlink()
    (folder / "empty.img").touch()
    (folder / "short.vmdk").write_bytes((folder / "good.vmdk").read_bytes()[:700])
    (folder / "new.vhdx").write_bytes(b"vhdxfile" + bytes(4096))
    (folder / "folder").mkdir()
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(folder: Path, *words: str) -> str:
    """The one line of a run that must not begin, without the folder's name; nothing in it may change."""
    before = hashes(folder)
    image = folder / "program.bin"
    ended = vmm_run(image, "--protocol", "flat", "--memory", "16M", "--timeout", "0.1", *words)
    assert (ended.code, ended.said.count("\n")) == (2, 1), ended.said
    assert hashes(folder) == before
    return ended.said.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("disk", "line"),
    [
        ("nothing.vmdk", "nothing.vmdk: there is no such file"),
        ("good.vmdk,format=qcow2", "good.vmdk: is not a qcow2 image but vmdk"),
        ("raw.img,format=vmdk", "raw.img: is not a vmdk image but raw"),
        ("good.vmdk,format=vdi", "unknown disk format 'vdi'; choose from raw, vmdk, qcow2"),
        ("new.vhdx", "VHDX"),
        ("lost-000001.vmdk", "lost-000001.vmdk: its backing file lost.vmdk: there is no such file"),
        ("split.vmdk", "split.vmdk: its extent split-s001.vmdk: there is no such file"),
        ("base.vmdk", "base.vmdk: is frozen by a snapshot; the disk is base-000001.vmdk"),
        ("empty.img", "empty.img: is empty"),
        ("short.vmdk", "short.vmdk: "),
        ("folder", "folder: cannot be opened: Is a directory"),
        ("good.vmdk,id=60", "places are 0 to 59"),
        ("good.vmdk,werror=ignore", "werror=ignore: choose from report, stop"),
    ],
)
def test_a_disk_that_cannot_be(disk: str, line: str, folder: Path) -> None:
    assert line in refused(folder, "--disk", str(folder / disk))


def test_disks_that_cannot_be_together(folder: Path) -> None:
    good, raw = f"{folder}/good.vmdk", f"{folder}/raw.img"
    said = refused(folder, "--disk", good, "--disk", good)
    assert "good.vmdk: the disk is in use by this process" in said
    said = refused(folder, "--disk", f"{good},id=4", "--disk", f"{raw},id=4")
    assert "raw.img: id=4 is good.vmdk's" in said
    words = ["--disk", f"{good},snapshot"] * 60
    assert "disk 61 (last.img): a machine holds 60 disks" in refused(folder, *words, "--disk", "last.img")
    assert "disk 61 (last.iso): a machine holds 60 disks" in refused(folder, *words, "--cdrom", "last.iso")


def test_a_disk_of_another_vm(folder: Path) -> None:
    words = [sys.executable, "-m", "vmm", "run", folder / "program.bin", "--protocol", "flat"]
    words += ["--memory", "16M", "--trace", "all", "--disk", folder / "good.vmdk"]
    with subprocess.Popen([str(word) for word in words], stderr=subprocess.PIPE) as other:
        try:
            assert other.stderr is not None
            assert other.stderr.read(1)  # it runs, and so it has its disk
            said = refused(folder, "--disk", f"{folder}/good.vmdk")
        finally:
            other.kill()
    assert "good.vmdk: the disk is in use by" in said
    assert f"(pid {other.pid})" in said


@pytest.mark.parametrize(
    ("nics", "line"),
    [
        ((SAME_MAC, "none", SAME_MAC), "given to two NICs"),
        (("none",) * 9, "at most 8"),
        (("none,mac=01:00:5e:00:00:01",), "no multicast"),
        (("none,model=rtl8139",), "known are 82545em, 82540em"),
        (("bridge:eth0",), "write one of user"),
    ],
)
def test_adapters_that_cannot_be(nics: tuple[str, ...], line: str, folder: Path) -> None:
    assert line in refused(folder, *(word for nic in nics for word in ("--nic", nic)))


# ---- a host that cannot write ----

_FILL = """\
while [ ! -b /dev/sda ]; do sleep 0.1; done
yes kept | head -c 65536 > /kept
dd if=/kept of=/dev/sda bs=64k oflag=direct conv=fsync 2>/dev/null && echo first is written
yes more | head -c 4194304 > /more
dd if=/more of=/dev/sda bs=64k seek=16 oflag=direct 2>&1 | head -1
dmesg | grep -i 'sense key\\|add. sense' | tail -2
dd if=/dev/sda bs=64k count=1 iflag=direct 2>/dev/null | cmp - /kept && echo first is read
"""


def limited(limit: int, *words: str | Path) -> Ended:
    """`vmm run` where no file may be longer than `limit`: the same code as on a full disk, without root."""
    prlimit = packages.require_program("prlimit")
    return vmm_run(*words, program=(prlimit, f"--fsize={limit}", sys.executable, "-m", "vmm"))


def test_a_full_host_is_a_scsi_error_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk.vmdk"
    create(disk, 16 * MIB, "monolithicSparse")
    files, insert = kernel_modules.insertion(["mptspi", "sd_mod"])
    initrd = initramfs.marker_initramfs(commands=insert + _FILL, files=files)
    kernel = packages.require(kernel_modules.PACKAGE, "boot/vmlinuz-*")
    words: list[str | Path] = [kernel, "--initrd", initrd, "--append", "console=ttyS0 panic=-1"]
    ended = limited(2 * MIB, *words, "--timeout", "120", "--disk", disk)
    assert (ended.code, "first is written" in ended.serial) == (0, True), ended.serial[-3000:] + ended.said
    assert "dd: error writing '/dev/sda'" in ended.serial, ended.serial[-3000:]
    assert "Sense Key : " in ended.serial
    assert "first is read" in ended.serial
    assert [report.problems for report in check(disk) if report.problems] == []
    with open_image(disk) as image:
        assert image.layer.read(0, 65536) == (b"kept\n" * 13108)[:65536]


def test_no_room_for_what_is_to_be_forgotten(tmp_path: Path) -> None:
    disk = tmp_path / "disk.vmdk"
    create(disk, 16 * MIB, "monolithicSparse")
    before = hashes(tmp_path)
    image = program(tmp_path / "..", SPIN)
    ended = limited(100, image, "--protocol", "flat", "--memory", "16M", "--disk", f"{disk},snapshot")
    assert ended.said.count("\n") == 1, ended.said
    assert "cannot keep the changes to a disk" in ended.said
    assert ended.code == 70
    assert hashes(tmp_path) == before
