"""Proves a machine's disks: places, firmware's order, what is kept and forgotten, and how it refuses."""

from __future__ import annotations

import re
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import iso_image, packages
from vmm import Machine
from vmm.cli import main
from vmm.errors import UsageError
from vmm.machine import Outcome
from vmm.machine.disks import DiskSpec, boot_order, disk_specs, parse_disk
from vmm.monitor import DiskPlace
from vmm.storage import open_image, snapshot, tracking
from vmm.storage.create import create

SIZE = 8 << 20

# Prints the text at 0x60 through COM1.
_PRINT = bytes.fromhex("31c08ed8be607cac08c07406baf803eeebf5faf4")
# Before that, has the BIOS write this sector to another of the first disk: INT 13h, AH=43h, with a packet of
# size, count, address and sector number on the stack.
_WRITE = (
    bytes.fromhex("31c08ed88ed0bc007b6a006a006668")
    + b"%b"
    + bytes.fromhex("6a0068007c6a016a1089e6b8004330c0b280cd13")
)


def sector(text: str, *, write: bool = False, to: int = 1) -> bytes:
    code = (_WRITE % struct.pack("<I", to) if write else b"") + _PRINT
    return (code.ljust(0x60, b"\x90") + text.encode() + b"\n\0").ljust(510, b"\0") + b"\x55\xaa"


def bootable(path: Path, text: str, kind: str = "monolithicSparse", *, write: bool = False) -> Path:
    create(path, SIZE, kind)
    with open_image(path, format="raw" if kind == "raw" else None, write=True) as image:
        image.layer.write(0, sector(text, write=write))
    return path


def second_sector(path: Path) -> bytes:
    with open_image(path) as image:
        return image.layer.read(512, 512)


@pytest.fixture(scope="module")
def bios() -> Path:
    return packages.require("seabios", "usr/share/seabios/bios-256k.bin")


def test_specs() -> None:
    assert parse_disk("a.vmdk,readonly,id=3") == DiskSpec(Path("a.vmdk"), readonly=True, id=3)
    assert parse_disk("a.img,format=raw,snapshot") == DiskSpec(Path("a.img"), "raw", snapshot=True)
    with pytest.raises(UsageError, match="'fast' is no option of a disk"):
        parse_disk("a.img,fast")
    with pytest.raises(UsageError, match="places are 0 to 59"):
        parse_disk("a.img,id=60")


def test_a_file_with_commas_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a,readonly"
    path.touch()
    assert parse_disk(str(path)) == DiskSpec(path)
    assert parse_disk(f"{path},readonly") == DiskSpec(path, readonly=True)


def test_places() -> None:
    specs = disk_specs(["a,id=1", "b", "c", "d,id=17"], ["e"])
    assert [spec.id for spec in specs] == [1, 0, 2, 17, 3]
    assert DiskSpec(Path(), id=6).place == DiskPlace(0, 6)
    assert DiskSpec(Path(), id=7).place == DiskPlace(0, 8)
    assert DiskSpec(Path(), id=59).place == DiskPlace(3, 15)
    assert len({spec.place for spec in disk_specs(["x"] * 60)}) == 60


def test_the_61st_disk_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"disk 61 \(last\.img\): a machine holds 60 disks"):
        disk_specs([*["x.img"] * 60, "last.img"])
    with pytest.raises(UsageError, match="b: id=4 is a's"):
        disk_specs(["a,id=4", "b,id=4"])


def test_boot_order() -> None:
    specs = disk_specs(["a", "b,id=20"], ["c"])
    assert boot_order("cdrom,disk", specs, 0) == (
        b"/pci@i0cf8/scsi@10/channel@0/disk@1,0\n"
        b"/pci@i0cf8/scsi@10/channel@0/disk@0,0\n"
        b"/pci@i0cf8/scsi@11/channel@0/disk@5,0\0"
    )
    assert boot_order("net", specs, 2) == b"/pci@i0cf8/ethernet@3\n/pci@i0cf8/ethernet@4\0"
    with pytest.raises(UsageError, match="the machine has no NIC"):
        boot_order("net", specs, 0)
    with pytest.raises(UsageError, match="choose from disk, cdrom, net"):
        boot_order("floppy", specs, 0)


@pytest.mark.parametrize("kind", ["raw", "monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse"])
def test_firmware_boots_from_every_format(kind: str, bios: Path, tmp_path: Path) -> None:
    disk = bootable(tmp_path / "disk.vmdk", "it boots", kind)
    spec = DiskSpec(disk, format="raw") if kind == "raw" else disk
    with Machine(bios, memory="32M", disks=[spec]) as vm:
        vm.run(until="it boots", timeout=30).require()
        ((_, stats),) = vm.disks
        assert (stats.reads > 0, stats.errors) == (True, 0)


def test_firmware_tries_the_first_disk_first(bios: Path, tmp_path: Path) -> None:
    one, two = (bootable(tmp_path / f"{name}.vmdk", f"disk {name}") for name in ("one", "two"))
    cases: list[tuple[list[Path | str], str]] = [
        ([one, two], "disk one"),
        ([two, one], "disk two"),
        ([f"{one},id=16", two], "disk one"),
    ]
    for disks, sign in cases:
        with Machine(bios, memory="32M", disks=disks, boot="disk") as vm:
            assert vm.run(until=r"disk \w+", timeout=30).match == sign


def test_firmware_boots_a_cd_before_a_disk(bios: Path, tmp_path: Path) -> None:
    disk, cdrom = bootable(tmp_path / "disk.vmdk", "from disk"), tmp_path / "cd.iso"
    cdrom.write_bytes(iso_image.build({}, boot=sector("from cd")))
    for boot, sign in (("cdrom,disk", "from cd"), ("disk,cdrom", "from disk")):
        with Machine(bios, memory="32M", disks=[disk], cdroms=[cdrom], boot=boot) as vm:
            assert vm.run(until="from (cd|disk)", timeout=30).match == sign


def test_real_time(bios: Path, tmp_path: Path) -> None:
    disk = bootable(tmp_path / "disk.vmdk", "written", write=True)
    with Machine(bios, memory="32M", disks=[disk], time="real") as vm:
        vm.run(until="written", timeout=300).require()
    assert second_sector(disk) == sector("written", write=True)


def test_what_the_guest_writes_is_kept_or_forgotten(bios: Path, tmp_path: Path) -> None:
    text = sector("written", write=True)
    disk = bootable(tmp_path / "disk.vmdk", "written", write=True)
    change_id = tracking.enable(disk)
    with Machine(bios, memory="32M", disks=[f"{disk},snapshot"]) as vm:
        vm.run(until="written", timeout=30).require()
        assert vm.disks[0][1].writes == 1
    assert second_sector(disk) == bytes(512)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.vmdk", "disk.vmdk.ctk"]
    with Machine(bios, memory="32M", disks=[f"{disk},readonly"]) as vm:
        vm.run(until="written", timeout=30).require()
    assert second_sector(disk) == bytes(512)
    assert tracking.changed(disk, tracking.checkpoint(disk)) == []
    with Machine(bios, memory="32M", disks=[disk]) as vm:
        vm.run(until="written", timeout=30).require()
    assert second_sector(disk) == text
    assert tracking.changed(disk, change_id) == [tracking.Area(0, 65536)]


def test_a_run_over_a_redo_log_leaves_the_base(bios: Path, tmp_path: Path) -> None:
    disk = bootable(tmp_path / "disk.vmdk", "written", write=True)
    redo = snapshot.create(disk, "before")
    with pytest.raises(UsageError, match=r"is frozen by a snapshot; the disk is .*disk-000001\.vmdk"):
        Machine(bios, memory="32M", disks=[disk])
    before = disk.read_bytes()
    with Machine(bios, memory="32M", disks=[redo]) as vm:
        vm.run(until="written", timeout=30).require()
    assert disk.read_bytes() == before
    assert second_sector(redo) == sector("written", write=True)


def test_runs_over_disks_are_equal(bios: Path, tmp_path: Path) -> None:
    disk = bootable(tmp_path / "disk.vmdk", "written", write=True)
    hashes = set()
    for _ in range(2):
        with Machine(bios, memory="32M", disks=[f"{disk},snapshot"]) as vm:
            vm.run(until="written", timeout=30).require()
            hashes.add((vm.state_sha256, vm.stats.instructions))
    assert len(hashes) == 1


@pytest.fixture
def full_host() -> Iterator[Callable[[], None]]:
    """A limit on the size of files, 1 MiB, stands for a full disk; the function lifts it."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, old[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, old)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def nearly_full(folder: Path) -> Path:
    """A disk whose file has grown to the limit; its boot sector writes where another grain is needed."""
    disk = folder / "disk.vmdk"
    create(disk, SIZE, "monolithicSparse")
    with open_image(disk, write=True) as image:
        image.layer.write(0, sector("went on", write=True, to=0x1000))
        image.layer.write(4 << 20, b"\1" * ((1 << 20) - disk.stat().st_size))
    return disk


def once_waiting(vm: Machine, action: Callable[[], None]) -> threading.Thread:
    """A thread that acts when the VM waits for room."""

    def watch() -> None:
        while not vm.waits_for_room:
            time.sleep(0.01)
        action()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_a_full_host_is_an_error_for_the_guest(
    bios: Path, tmp_path: Path, full_host: Callable[[], None]
) -> None:
    with Machine(bios, memory="32M", disks=[nearly_full(tmp_path)]) as vm:
        vm.run(until="went on", timeout=60).require()
        ((_, stats),) = vm.disks
    assert stats.errors > 0
    assert re.search(r"disk\.vmdk: offset 0x\w+: File too large", stats.last_error)


def test_the_vm_waits_for_room(bios: Path, tmp_path: Path, full_host: Callable[[], None]) -> None:
    disk = nearly_full(tmp_path)
    with Machine(bios, memory="32M", disks=[f"{disk},werror=stop"]) as vm:
        thread = once_waiting(vm, full_host)
        vm.run(until="went on", timeout=60).require()
        thread.join()
        assert vm.disks[0][1].errors == 0
    with open_image(disk) as image:
        assert image.layer.read(0x1000 * 512, 512) == sector("went on", write=True, to=0x1000)


def test_stop_ends_the_waiting(bios: Path, tmp_path: Path, full_host: Callable[[], None]) -> None:
    disk = nearly_full(tmp_path)
    with Machine(bios, memory="32M", disks=[f"{disk},werror=stop"]) as vm:
        thread = once_waiting(vm, vm.stop)
        assert vm.run(until="went on", timeout=60).outcome is Outcome.STOPPED
        thread.join()


def test_a_signal_ends_a_run_that_waits(bios: Path, tmp_path: Path, full_host: Callable[[], None]) -> None:
    disk = nearly_full(tmp_path)
    words = [
        sys.executable,
        "-m",
        "vmm",
        "run",
        str(bios),
        "--memory",
        "32M",
        "--disk",
        f"{disk},werror=stop",
    ]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        said = child.stderr.readline()
        child.terminate()
        child.communicate()
    assert said == f"vmm: {disk}: the host's disk is full; the VM waits until there is room\n"
    assert child.returncode == 128 + signal.SIGTERM


def test_two_machines_and_one_disk(bios: Path, tmp_path: Path) -> None:
    disk = bootable(tmp_path / "disk.vmdk", "it boots")
    with (
        Machine(bios, memory="32M", disks=[disk]),
        pytest.raises(UsageError, match="the disk is in use by this process"),
    ):
        Machine(bios, memory="32M", disks=[disk])
    with (
        Machine(bios, memory="32M", disks=[f"{disk},readonly"]),
        Machine(bios, memory="32M", disks=[f"{disk},snapshot"]),
    ):
        pass


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--disk", "nothing.vmdk"), "nothing.vmdk: there is no such file"),
        (("--disk", "disk.vmdk,format=qcow2"), "disk.vmdk: is not a qcow2 image but vmdk"),
        (("--disk", "disk.vmdk", "--disk", "disk.vmdk"), "the disk is in use by this process"),
        (("--boot", "cdrom"), "the machine has no cdrom"),
        (("--disk", "disk.vmdk,oops"), "'oops' is no option of a disk"),
    ],
)
def test_vmm_run_refuses_in_one_line(
    words: tuple[str, ...],
    line: str,
    bios: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bootable(tmp_path / "disk.vmdk", "it boots")
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(bios), *words]) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1


def test_boot_needs_firmware(guests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(guests / "boot" / "elf64.elf"), "--boot", "disk"]) == 2
    assert "--boot is for firmware" in capsys.readouterr().err


def test_vmm_run(bios: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    disk = bootable(tmp_path / "disk.vmdk", "it boots")
    words = ["--disk", str(disk), "--boot", "disk", "--until", "it boots", "--memory", "32M"]
    assert main(["run", str(bios), *words]) == 0
    assert "it boots" in capfd.readouterr().out
