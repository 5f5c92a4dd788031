"""Proves that an initramfs is the same bytes every time, cached by content, and has what it was asked for."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests import guest_images, initramfs


def test_same_content_is_the_same_file() -> None:
    init = "#!/bin/sh\n# used by this test alone, which removes the file\n"
    first = initramfs.build(init)
    content = first.read_bytes()
    first.unlink()
    assert initramfs.build(init) == first
    assert first.read_bytes() == content


def test_different_content_is_another_file() -> None:
    assert initramfs.marker_initramfs("poweroff") != initramfs.marker_initramfs("shell")
    assert initramfs.marker_initramfs() != initramfs.marker_initramfs(files={"root/x": b""})


def test_init_prints_the_marker_after_the_commands(tmp_path: Path) -> None:
    module = tmp_path / "e1000.ko"
    module.write_bytes(b"module's bytes")
    archive = gzip.decompress(initramfs.marker_initramfs(commands="nproc", modules=[module]).read_bytes())
    insert, run, mark = (
        archive.index(text)
        for text in (b"insmod /lib/modules/e1000.ko", b"nproc\n", initramfs.MARKER.encode())
    )
    assert insert < run < mark
    assert b"module's bytes" in archive


def test_every_guest_image_is_found() -> None:
    for name in guest_images.NAMES:
        image = guest_images.find(name)
        assert image.path.stat().st_size > 4096
        assert image.until
