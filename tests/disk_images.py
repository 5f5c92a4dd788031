"""Disk images made without root: a partition table, a file system from a tree of files, GRUB in front of it.

Images are deterministic as far as their tools are, and made anew where a test asks for one.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests import packages

SECTOR = 512
FIRST_SECTOR = 2048
_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "iso9660", "linux", "normal", "serial", "echo", "halt")
_LINUX = 0x83
_TABLE = 446


def tool(package: str, path: str) -> Path:
    """A program of an unpacked Debian package, whose libraries the system has."""
    return packages.require(package, path)


def ext4(path: Path, size: int, files: Mapping[str, bytes | str], scratch: Path) -> Path:
    """A file of `size` bytes with an ext4 file system of `files`: bytes, or a symbolic link's text."""
    tree = scratch / "tree"
    for name, content in files.items():
        target = tree / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            target.symlink_to(content)
        else:
            target.write_bytes(content)
            target.chmod(0o755)
    with path.open("wb") as file:
        file.truncate(size)
    run(
        [
            tool("e2fsprogs", "sbin/mke2fs"),
            "-q",
            "-t",
            "ext4",
            "-O",
            "^metadata_csum,^orphan_file",
            "-d",
            tree,
            path,
        ]
    )
    shutil.rmtree(tree)
    return path


def partitioned(path: Path, partition: Path, boot_code: bytes = b"", behind: bytes = b"") -> Path:
    """A disk whose first partition is `partition`; `boot_code` in sector 0, `behind` from sector 1."""
    if len(boot_code) > _TABLE or len(behind) > (FIRST_SECTOR - 1) * SECTOR:
        raise ValueError("boot code does not fit before the first partition")
    sectors = partition.stat().st_size // SECTOR
    entry = struct.pack(
        "<BBBBBBBBII", 0x80, 0xFE, 0xFF, 0xFF, _LINUX, 0xFE, 0xFF, 0xFF, FIRST_SECTOR, sectors
    )
    master = boot_code.ljust(_TABLE, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa"
    with path.open("wb") as disk, partition.open("rb") as source:
        disk.write(master + behind)
        disk.seek(FIRST_SECTOR * SECTOR)
        shutil.copyfileobj(source, disk, 1 << 20)
    return path


def grub(scratch: Path, prefix: str = "(hd0,msdos1)/boot/grub") -> tuple[bytes, bytes]:
    """(sector 0, what follows it) of a disk that starts GRUB with its modules built in."""
    folder = packages.require("grub-pc-bin", "usr/lib/grub/i386-pc/boot.img").parent
    core = scratch / "core.img"
    mkimage = tool("grub-common", "usr/bin/grub-mkimage")
    run([mkimage, "-O", "i386-pc", "-d", folder, "-p", prefix, "-o", core, *_GRUB_MODULES])
    return (folder / "boot.img").read_bytes()[:_TABLE], core.read_bytes()


def grub_for_cds(scratch: Path) -> bytes:
    """GRUB for a CD's El Torito entry, which reads `grub.cfg` from the CD's root."""
    folder = packages.require("grub-pc-bin", "usr/lib/grub/i386-pc/cdboot.img").parent
    image, mkimage = scratch / "eltorito.img", tool("grub-common", "usr/bin/grub-mkimage")
    run([mkimage, "-O", "i386-pc-eltorito", "-d", folder, "-p", "(cd)/", "-o", image, *_GRUB_MODULES])
    return image.read_bytes()


def run(command: list[str | Path]) -> None:
    """A tool that must succeed."""
    # The one library of grub-mkimage that a small Debian lacks.
    libraries = packages.require("libdevmapper1.02.1", "lib/*/libdevmapper.so.1.02.1").parent
    surroundings = {
        **os.environ,
        "LD_LIBRARY_PATH": str(libraries),
        "E2FSPROGS_FAKE_TIME": "946684800",
        "SOURCE_DATE_EPOCH": "946684800",
    }
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
