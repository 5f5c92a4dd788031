"""Proves that firmware starts systems from what they are installed from: loaders and Linux from a CD, which
Linux then mounts; floppy disks' images, as a disk and on a CD."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import disk_images, initramfs, iso_image, kernel_modules, packages
from vmm import Machine

GUEST_SECONDS = 60
Loader = Callable[[Path], tuple[bytes, dict[str, bytes]]]
DATA = random.Random(1).randbytes(300_000)
DATA_MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()

_GRUB_CFG = b"""\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
echo "GRUB from a CD"
linux /vmlinuz console=ttyS0 panic=-1
initrd /initrd.gz
boot
"""
_ISOLINUX_CFG = b"""\
SERIAL 0 115200
DEFAULT linux
LABEL linux
  KERNEL /vmlinuz
  APPEND initrd=/initrd.gz console=ttyS0 panic=-1
"""
_MOUNT = """\
mkdir /cd
n=0; while [ ! -b /dev/sr0 ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
mount -t iso9660 -o ro /dev/sr0 /cd && md5sum /cd/zdata.bin
touch /cd/x || echo is read-only
"""
# Reads sector 2 of the drive it came from to 0x7E00 by INT 13h AH=02h, prints it on COM1, halts.
_SECOND_SECTOR = bytes.fromhex(
    "31c08ed88ec08ed0bc007cb80102bb007eb90200b600cd13720ebe007eac84c07406baf803eeebf5f4ebfd"
)
# Reads blocks from the drive it came from by INT 13h AH=42h, with a packet of size, count, address and block
# number on the stack; prints the text at 0x7C70 or, without carry, at 0x7C60.
_READ_BLOCKS = (
    bytes.fromhex("31c08ed88ec08ed0bc007c6a006a006668"),
    bytes.fromhex("6a0068007e6a"),
    bytes.fromhex("6a1089e6b442cd13be707c7203be607cac84c07406baf803eeebf5f4ebfd"),
)


def bios() -> Path:
    return packages.require("seabios", "usr/share/seabios/bios-256k.bin")


def grub(folder: Path) -> tuple[bytes, dict[str, bytes]]:
    return disk_images.grub_for_cds(folder), {"GRUB.CFG": _GRUB_CFG}


def isolinux(_: Path) -> tuple[bytes, dict[str, bytes]]:
    core = packages.require("syslinux-common", "usr/lib/syslinux/modules/bios/ldlinux.c32").read_bytes()
    loader = packages.require("isolinux", "usr/lib/ISOLINUX/isolinux.bin").read_bytes()
    return loader, {"ISOLINUX.CFG": _ISOLINUX_CFG, "LDLINUX.C32": core}


def linux_cd(folder: Path, loader: Loader) -> Path:
    """A loader, Debian's kernel, an initramfs that mounts the CD, and last in the image some data."""
    files, insert = kernel_modules.insertion(["mptspi", "sr_mod", "isofs"])
    initrd = initramfs.marker_initramfs(commands=insert + _MOUNT, files=files)
    boot, contents = loader(folder)
    contents["VMLINUZ"] = packages.require(kernel_modules.PACKAGE, "boot/vmlinuz-*").read_bytes()
    contents |= {"INITRD.GZ": initrd.read_bytes(), "ZDATA.BIN": DATA}
    image = folder / "linux.iso"
    image.write_bytes(iso_image.build(contents, boot, boot_info=True))
    return image


def floppy(text: str) -> bytes:
    """1.44 MB, without a partition table."""
    first = _SECOND_SECTOR.ljust(510, b"\0") + b"\x55\xaa"
    return (first + text.encode() + b"\n\0").ljust(iso_image.FLOPPY_BYTES, b"\0")


@pytest.mark.parametrize(("loader", "says"), [(grub, "GRUB from a CD"), (isolinux, "ISOLINUX 6")])
def test_a_loader_starts_linux_from_a_cd_which_it_mounts(loader: Loader, says: str, tmp_path: Path) -> None:
    with Machine(bios(), memory="512M", cdroms=[linux_cd(tmp_path, loader)], boot="cdrom") as vm:
        for sign in (says, initramfs.MARKER):
            vm.run(until=sign, timeout=GUEST_SECONDS).require()
        assert f"{DATA_MD5}  /cd/zdata.bin" in vm.serial.text
        assert "is read-only" in vm.serial.text
        assert [stats.errors for _, stats in vm.disks] == [0]


def test_linux_sees_that_a_cd_was_cut_short(tmp_path: Path) -> None:
    image = linux_cd(tmp_path, grub)
    with image.open("rb+") as file:
        file.truncate(image.stat().st_size - 100_000)
    with Machine(bios(), memory="512M", cdroms=[image], boot="cdrom") as vm:
        vm.run(until=initramfs.MARKER, timeout=GUEST_SECONDS).require()
        assert "md5sum: can't read '/cd/zdata.bin'" in vm.serial.text
        assert "  /cd/zdata.bin" not in vm.serial.text


@pytest.mark.parametrize(
    ("beyond", "count", "says"),
    [(-1, 1, "read"), (0, 1, "refused"), (-3, 4, "refused"), (1 << 31, 1, "refused")],
)
def test_firmware_reads_to_the_end_of_a_cd_and_not_beyond(
    beyond: int, count: int, says: str, tmp_path: Path
) -> None:
    image, blocks = tmp_path / "cd.iso", len(iso_image.build({}, b"x")) // iso_image.BLOCK
    before, between, behind = _READ_BLOCKS
    code = before + struct.pack("<I", blocks + beyond) + between + bytes((count,)) + behind
    texts = b"blocks: read\n\0".ljust(16, b"\0") + b"blocks: refused\n\0"
    image.write_bytes(iso_image.build({}, code.ljust(0x60, b"\x90") + texts))
    with Machine(bios(), memory="32M", cdroms=[image], boot="cdrom") as vm:
        assert (
            vm.run(until="blocks: (read|refused)", timeout=GUEST_SECONDS).require().match == f"blocks: {says}"
        )


def test_a_floppys_image_is_a_disk(tmp_path: Path) -> None:
    disk = tmp_path / "floppy.img"
    disk.write_bytes(floppy("sector two of a floppy"))
    with Machine(bios(), memory="32M", disks=[f"{disk},format=raw"], boot="disk") as vm:
        vm.run(until="sector two of a floppy", timeout=GUEST_SECONDS).require()


def test_a_floppy_on_a_cd(tmp_path: Path) -> None:
    image = tmp_path / "floppy.iso"
    image.write_bytes(iso_image.build({}, floppy("a floppy on a CD")))
    with Machine(bios(), memory="32M", cdroms=[image], boot="cdrom") as vm:
        vm.run(until="a floppy on a CD", timeout=GUEST_SECONDS).require()
