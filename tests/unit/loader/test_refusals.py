"""Proves that what cannot be booted is refused in one line that says what it is, with exit code 2."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import pytest

from tests.unit.loader.builders import bzimage, elf64, plan, request
from vmm.errors import EngineMismatch, GuestDied, HostError, ImageError, UsageError, VmmError
from vmm.loader import detect, load, memory_map


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"#!/bin/sh\necho hello\n" * 10, "a text file"),
        (b"", "is empty"),
        (b"\x00" * 100, "no known format; it starts with 00 00"),
        (b"070701" + bytes(200), "cpio archive"),
        (b"MZ" + bytes(2000), "DOS or EFI program"),
        (bytes(0x8001) + b"CD001", "ISO 9660"),
        (b"QFI\xfb" + bytes(100), "QCOW2"),
        (gzip.compress(b"just text", mtime=0), r"a text file \(in the gunzipped image\)"),
        (gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), "compressed twice"),
        (gzip.compress(elf64(), mtime=0)[:-20], "gzip data ends before"),
        (b"\x7fELF", "truncated"),
    ],
)
def test_file_that_is_no_image(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=reason) as caught:
        load(path, request())
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_directory_missing_file_and_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path, "is a directory"),
        (tmp_path / "none", "No such file"),
        (tmp_path / "pipe", "device, pipe or socket"),
        (tmp_path / "a\0b", "cannot read the image"),
    ):
        with pytest.raises(ImageError, match=reason):
            load(path, request())


def test_message_stays_one_line_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\x1b[31m"
    path.write_bytes(b"text")
    with pytest.raises(ImageError, match="a text file") as caught:
        load(path, request())
    assert r"two\nlines\x1b[31m" in str(caught.value)


def test_gzip_around_an_image_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "kernel.gz"
    path.write_bytes(gzip.compress(elf64(), mtime=0))
    assert detect(path) == "elf"
    assert load(path, request()).protocol == "elf64"


def test_offset_in_a_gunzipped_image_is_not_taken_for_one_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "kernel.gz"
    path.write_bytes(gzip.compress(elf64()[:-1], mtime=0))
    with pytest.raises(ImageError, match="in the gunzipped image"):
        load(path, request())


def test_one_mebibyte_of_ram_is_too_little_for_a_kernel() -> None:
    with pytest.raises(ImageError, match=r"outside the guest's 1 MiB of RAM.*--memory 24M"):
        plan(bzimage(bytes(64)), memory=1 << 20)


@pytest.mark.parametrize("memory", [0, -4096, (1 << 20) - 4096, (1 << 20) + 1, 1 << 50])
def test_impossible_amount_of_memory(memory: int) -> None:
    with pytest.raises(UsageError):
        memory_map(memory)


def test_unknown_protocol_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown boot protocol 'efi'; known are linux, "):
        plan(elf64(), protocol="efi")


def test_exit_codes_are_the_documented_ones() -> None:
    codes = {
        error: error.exit_code for error in (UsageError, ImageError, GuestDied, HostError, EngineMismatch)
    }
    assert codes == {UsageError: 2, ImageError: 2, GuestDied: 125, HostError: 70, EngineMismatch: 70}
    assert all(issubclass(error, VmmError) for error in codes)


def test_image_error_survives_pickling() -> None:
    error = ImageError(Path("a"), "broken", offset=16, remedy="mend it")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.offset) == ("a: offset 0x10: broken; mend it", 16)
