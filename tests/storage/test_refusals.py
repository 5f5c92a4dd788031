"""Proves that what cannot be opened is one clear line that names the file, and that damaged images are never
worse than that.

200 mutants of each format, 5 000 with `VMM_FUZZ=long`; a failure prints the mutant's number.
"""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest

from tests.storage.conftest import Qemu
from vmm.errors import HostError, ImageError, UsageError, VmmError
from vmm.monitor.disk import DiskError, DiskStatus
from vmm.storage import open_image, snapshot
from vmm.storage.check import check
from vmm.storage.convert import convert
from vmm.storage.create import create

MUTANTS = 5_000 if os.environ.get("VMM_FUZZ") == "long" else 200
SIZE = 3 << 20
EDGES = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def data_on(path: Path, kind: str) -> Path:
    create(path, SIZE, kind)
    with open_image(path, format="raw" if kind == "raw" else None, write=True) as image:
        image.layer.write(1 << 20, random.Random(1).randbytes(200 * 512))
    return path


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.vmdk: there is no such file"):
        open_image(tmp_path / "nothing.vmdk")
    (tmp_path / "empty.img").touch()
    with pytest.raises(ImageError, match="is empty; vmm disk create makes"):
        open_image(tmp_path / "empty.img")
    with pytest.raises(ImageError, match="neither a file nor a block device"):
        open_image(tmp_path)


def test_a_missing_parent_names_both_files(tmp_path: Path) -> None:
    base = data_on(tmp_path / "base.vmdk", "monolithicSparse")
    redo = snapshot.create(base, "one")
    base.unlink()
    with pytest.raises(
        ImageError, match=r"base-000001\.vmdk: its backing file .*base\.vmdk: there is no such"
    ):
        open_image(redo)


def test_a_missing_extent_names_both_files(tmp_path: Path) -> None:
    disk = data_on(tmp_path / "disk.vmdk", "twoGbMaxExtentSparse")
    (tmp_path / "disk-s001.vmdk").unlink()
    with pytest.raises(ImageError, match=r"disk\.vmdk: its extent .*disk-s001\.vmdk: there is no such file"):
        open_image(disk)


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret", "a/b", ""])
def test_extents_outside_the_folder(name: str, tmp_path: Path) -> None:
    disk = data_on(tmp_path / "disk.vmdk", "monolithicFlat")
    disk.write_text(disk.read_text().replace("disk-flat.vmdk", name))
    with pytest.raises(ImageError, match="is not a file in the same folder"):
        open_image(disk)


def test_an_extent_by_itself(tmp_path: Path) -> None:
    data_on(tmp_path / "disk.vmdk", "twoGbMaxExtentSparse")
    with pytest.raises(ImageError, match="is one extent of a disk"):
        open_image(tmp_path / "disk-s001.vmdk")


def test_a_wrong_format(tmp_path: Path) -> None:
    disk = data_on(tmp_path / "disk.vmdk", "monolithicSparse")
    with pytest.raises(ImageError, match="is not a qcow2 image but vmdk"):
        open_image(disk, format="qcow2")
    with pytest.raises(UsageError, match="unknown disk format 'vdi'; choose from raw, vmdk, qcow2"):
        open_image(disk, format="vdi")
    with open_image(disk, format="raw") as image:
        assert image.layer.read(0, 512).startswith(b"KDMV")


@pytest.mark.parametrize(
    ("offset", "magic", "name"),
    [(0, b"vhdxfile", "VHDX"), (0, b"COWD", "vmfsSparse"), (0x40, b"\x7f\x10\xda\xbe", "VDI")],
)
def test_formats_we_only_know_by_name(offset: int, magic: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(offset) + magic + bytes(4096))
    with pytest.raises(ImageError, match=f"{name}.* not supported"):
        open_image(tmp_path / "disk")


def test_read_only_formats_refuse_writers(tmp_path: Path, qemu_img: Qemu) -> None:
    qemu_img("create", "-f", "qcow2", tmp_path / "disk.qcow2", SIZE)
    with pytest.raises(ImageError, match="qcow2 images are only read"):
        open_image(tmp_path / "disk.qcow2", write=True)
    raw = data_on(tmp_path / "disk.img", "raw")
    with open_image(raw) as image:
        convert(image, tmp_path / "stream.vmdk", "streamOptimized")
        with pytest.raises(DiskError, match="read-only"):
            image.layer.write(0, bytes(512))
    with pytest.raises(ImageError, match="streamOptimized disks are only read"):
        open_image(tmp_path / "stream.vmdk", write=True)


def test_qcow2_that_asks_for_more(tmp_path: Path, qemu_img: Qemu) -> None:
    disk = tmp_path / "disk.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", "extended_l2=on", disk, SIZE)
    with pytest.raises(ImageError, match="subclusters"):
        open_image(disk)
    qemu_img("create", "-f", "qcow2", "-o", "compression_type=zstd", disk, SIZE)
    with pytest.raises(ImageError, match="compression method 1"):
        open_image(disk)
    qemu_img("create", "-f", "qcow2", "-u", "-b", "nbd://host/disk", "-F", "raw", disk, SIZE)
    with pytest.raises(ImageError, match="'nbd://host/disk' is no file"):
        open_image(disk)


def test_a_chain_that_bites_its_tail(tmp_path: Path, qemu_img: Qemu) -> None:
    one, two = tmp_path / "one.qcow2", tmp_path / "two.qcow2"
    qemu_img("create", "-f", "qcow2", "-u", "-b", two, "-F", "qcow2", one, SIZE)
    qemu_img("create", "-f", "qcow2", "-u", "-b", one, "-F", "qcow2", two, SIZE)
    with pytest.raises(ImageError, match="is its own backing file"):
        open_image(one)


def test_sizes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whole sectors of 512 bytes, up to 64T"):
        create(tmp_path / "disk", 513, "raw")
    with pytest.raises(UsageError, match="holds 2T at most"):
        create(tmp_path / "disk", 3 << 40, "monolithicSparse")
    with pytest.raises(UsageError, match="exists; --force"):
        create(data_on(tmp_path / "disk", "raw"), SIZE, "raw")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk"]


@pytest.mark.parametrize("magic", [b"QFI\xfb", b"KDMV", b"# disk descriptorFILE\n"])
def test_a_guest_cannot_turn_a_raw_image_into_another_format(magic: bytes, tmp_path: Path) -> None:
    disk, first = tmp_path / "disk.img", magic.ljust(512, b"\0")
    create(disk, SIZE, "raw")
    with open_image(disk, write=True) as image, pytest.raises(DiskError, match="would become another format"):
        image.layer.write(0, first)
    with open_image(disk, format="raw", write=True) as image:
        image.layer.write(0, first)
    assert disk.read_bytes().startswith(first)


def test_a_full_host_disk(tmp_path: Path) -> None:
    """A limit on file size stands for it: the same path through the same code, without root."""
    resource = pytest.importorskip("resource")
    disk = tmp_path / "disk.vmdk"
    create(disk, 64 << 20, "monolithicSparse")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_image(disk, write=True) as image:
        image.layer.write(0, b"\1" * 65536)
        image.layer.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, old[1]))
        try:
            with pytest.raises(DiskError, match=r"disk\.vmdk: offset 0x\w+: File too large") as caught:
                image.layer.write(0, b"\2" * (4 << 20))
            assert caught.value.status is DiskStatus.ENOSPC
            with pytest.raises(HostError, match="cannot"):
                create(tmp_path / "other.img", 64 << 20, "raw", preallocate=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        image.layer.write(1 << 20, b"\3" * (4 << 20))
        assert image.layer.read(1 << 20, 4 << 20) == b"\3" * (4 << 20)
    assert [report.problems for report in check(disk) if report.problems] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.vmdk"]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A few fields of the metadata at the front set to edge values or to chance, or a cut."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(min(len(out), rng.choice((128, 2048, 70_000))))
        kind = rng.randrange(4)
        if kind == 0:
            struct.pack_into(rng.choice("<>") + "I", out, min(place, len(out) - 4), rng.choice(EDGES))
        elif kind == 1:
            out[place] = rng.randrange(256)
        elif kind == 2:
            struct.pack_into("<I", out, min(place, len(out) - 4), rng.randrange(2000))
        else:
            del out[rng.randrange(8, len(out) + 1) :]
    return bytes(out)


@pytest.mark.parametrize("kind", ["monolithicSparse", "monolithicFlat", "streamOptimized", "qcow2", "redo"])
def test_mutants(kind: str, tmp_path: Path, qemu_img: Qemu) -> None:
    raw, image = data_on(tmp_path / "raw.img", "raw"), tmp_path / "disk.vmdk"
    if kind == "qcow2":
        qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", raw, image)
    elif kind == "redo":
        image = snapshot.create(data_on(image, "monolithicSparse"), "one")
    else:
        with open_image(raw) as source:
            convert(source, image, kind)
    good, rng = image.read_bytes(), random.Random(7)
    for number in range(MUTANTS):
        image.write_bytes(mutate(good, rng))
        for attempt in (_read_all, _write_some, check):
            try:
                attempt(image)
            except VmmError as error:
                assert "\n" not in str(error), f"mutant {number}"
            except Exception as error:
                raise AssertionError(f"mutant {number}: {error!r}") from error


def _read_all(path: Path) -> None:
    with open_image(path) as image:
        for at in range(0, min(image.size, 8 << 20), 1 << 20):
            image.layer.read(at, min(1 << 20, image.size - at))


def _write_some(path: Path) -> None:
    with open_image(path, write=True) as image:
        length = min(image.size, 1 << 20)
        image.layer.write(0, b"\1" * length)
        image.layer.discard(0, length)
        image.layer.flush()
