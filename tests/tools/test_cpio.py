"""Proves the cpio writer against busybox, and that an archive depends on its files alone."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from tests import cpio, packages

TREE = {
    "init": cpio.file(b"#!/bin/sh\n", 0o755),
    "bin/sh": cpio.symlink("/bin/busybox"),
    "deep/er/empty": cpio.file(b""),
    "tmp": cpio.directory(),
}


def _busybox(*arguments: str, folder: Path, stdin: bytes = b"") -> bytes:
    program = packages.require("busybox-static", "bin/busybox")
    return subprocess.run(
        [program, *arguments], cwd=folder, input=stdin, capture_output=True, check=True
    ).stdout


def test_busybox_unpacks_what_we_pack(tmp_path: Path) -> None:
    _busybox("cpio", "-i", folder=tmp_path, stdin=cpio.archive(TREE))
    assert (tmp_path / "init").read_bytes() == b"#!/bin/sh\n"
    assert stat.S_IMODE((tmp_path / "init").stat().st_mode) == 0o755
    assert (tmp_path / "bin/sh").readlink() == Path("/bin/busybox")
    assert (tmp_path / "deep/er/empty").read_bytes() == b""
    assert (tmp_path / "tmp").is_dir()


def test_device_node_is_listed(tmp_path: Path) -> None:
    archive = cpio.archive({"dev/console": cpio.character_device(5, 1)})
    listing = _busybox("cpio", "-tv", folder=tmp_path, stdin=archive).decode()
    assert "crw-------" in listing
    assert "dev/console" in listing


def test_order_of_entries_does_not_matter() -> None:
    assert cpio.archive(TREE) == cpio.archive(dict(reversed(TREE.items())))


def test_directories_precede_their_content() -> None:
    archive = cpio.archive(TREE)
    assert archive.index(b"deep\0") < archive.index(b"deep/er\0") < archive.index(b"deep/er/empty\0")


def test_records_are_aligned() -> None:
    archive = cpio.archive({name: cpio.file(name.encode()) for name in ("a", "bc", "def", "ghij")})
    starts = [at for at in range(len(archive)) if archive.startswith(b"070701", at)]
    assert len(starts) == 5
    assert all(at % 4 == 0 for at in starts)
