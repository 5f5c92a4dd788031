"""Proves that qemu-img reads what we write and we read what qemu-img writes, format by format."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.conftest import Qemu
from tests.storage.model import Model, Write, contents
from vmm.errors import ImageError
from vmm.storage import open_image
from vmm.storage.check import check
from vmm.storage.convert import convert
from vmm.storage.create import KINDS, create

EXAMPLES = 150 if os.environ.get("VMM_FUZZ") == "long" else 8
WRITABLE = tuple(kind for kind in KINDS if kind != "streamOptimized")
SIZE = (40 << 20) + 3 * 512
"""Not whole grains, and more than one grain table."""


def filled(path: Path, seed: int = 1) -> Model:
    """A raw image with data, zeros and holes."""
    create(path, SIZE, "raw")
    model = Model.of_size(SIZE)
    with open_image(path, format="raw", write=True) as image:
        model.scribble(image.layer, seed)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_qemu_reads_what_convert_writes(kind: str, tmp_path: Path, qemu_img: Qemu) -> None:
    source, target = tmp_path / "source.img", tmp_path / "target.vmdk"
    filled(source)
    with open_image(source) as image:
        convert(image, target, kind)
    found = "raw" if kind == "raw" else "vmdk"
    assert "identical" in qemu_img("compare", "-f", "raw", "-F", found, source, target)
    if found == "vmdk":
        assert "No errors" in qemu_img("check", target)
        assert f"create type: {kind}" in qemu_img("info", target)
    assert [report.problems for report in check(target) if report.problems] == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "raw"])
def test_we_read_what_qemu_writes(kind: str, tmp_path: Path, qemu_img: Qemu) -> None:
    source, target = tmp_path / "source.img", tmp_path / "target.vmdk"
    model = filled(source)
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={kind}", source, target)
    with open_image(target) as image:
        assert image.levels[0].notes["create_type"] == kind
        assert contents(image.layer) == model.data
    assert [report.problems for report in check(target) if report.problems] == []


@pytest.mark.parametrize(
    "options",
    [
        ("-o", "compat=1.1"),
        ("-o", "compat=0.10"),
        ("-c",),
        ("-c", "-o", "cluster_size=4096"),
        ("-o", "cluster_size=2M"),
        ("-o", "refcount_bits=1"),
    ],
)
def test_we_read_qcow2(options: tuple[str, ...], tmp_path: Path, qemu_img: Qemu) -> None:
    source, target = tmp_path / "source.img", tmp_path / "target.qcow2"
    model = filled(source)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", *options, source, target)
    with open_image(target) as image:
        assert image.format == "qcow2"
        assert contents(image.layer) == model.data
    assert check(target)[0].problems == []


@pytest.mark.parametrize("base", ["raw", "vmdk", "qcow2"])
def test_backing_files_are_found_beside_the_image(
    base: str, tmp_path: Path, qemu_img: Qemu, qemu_io: Qemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "disks"
    folder.mkdir()
    model = filled(folder / "source.img")
    qemu_img("convert", "-f", "raw", "-O", base, folder / "source.img", folder / f"base.{base}")
    monkeypatch.chdir(folder)
    qemu_img("create", "-f", "qcow2", "-b", f"base.{base}", "-F", base, "top.qcow2", str(50 << 20))
    qemu_io("-c", "write -P 7 1M 100k", "-c", "write -z 5M 1M", "top.qcow2")
    monkeypatch.chdir("/")
    model.data[1 << 20 : (1 << 20) + 102400] = b"\7" * 102400
    model.data[5 << 20 : 6 << 20] = bytes(1 << 20)
    model.grow(50 << 20)
    with open_image(folder / "top.qcow2") as image:
        assert [level.format for level in image.levels] == ["qcow2", base]
        assert contents(image.layer) == model.data


def test_a_redo_log_of_qemu(tmp_path: Path, qemu_img: Qemu, qemu_io: Qemu) -> None:
    source, base, top = (tmp_path / name for name in ("source.img", "base.vmdk", "top.vmdk"))
    model = filled(source)
    qemu_img("convert", "-f", "raw", "-O", "vmdk", source, base)
    qemu_img("create", "-f", "vmdk", "-b", base, "-F", "vmdk", top)
    qemu_io("-c", "write -P 9 3M 70k", top)
    model.data[3 << 20 : (3 << 20) + 71680] = b"\x09" * 71680
    with open_image(top, write=True) as image:
        assert contents(image.layer) == model.data
        model.scribble(image.layer, 2)
    assert "identical" in qemu_img("compare", "-f", "raw", model.save(source), top)


CHANGES = st.lists(
    st.builds(
        Write,
        st.integers(0, SIZE // 512 - 1),
        st.one_of(st.integers(1, 9), st.integers(100, 400)),
        st.one_of(st.none(), st.integers(0, 99)),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(CHANGES, min_size=1, max_size=3), kind=st.sampled_from(WRITABLE))
def test_random_writes(
    batches: list[list[Write]], kind: str, tmp_path_factory: pytest.TempPathFactory, qemu_img: Qemu
) -> None:
    folder = tmp_path_factory.mktemp("writes")
    disk, model = folder / "disk.vmdk", Model.of_size(SIZE)
    create(disk, SIZE, kind)
    for changes in batches:
        with open_image(disk, write=True) as image:
            for change in changes:
                model.apply(image.layer, change)
            assert contents(image.layer) == model.data
    found = "raw" if kind == "raw" else "vmdk"
    saved = model.save(folder / "model.img")
    assert "identical" in qemu_img("compare", "-f", "raw", "-F", found, saved, disk)
    assert [(report.problems, report.leaked) for report in check(disk) if report.problems] == []


def test_the_map_covers_the_disk_once_and_finds_the_data(tmp_path: Path) -> None:
    disk, model = tmp_path / "disk.vmdk", Model.of_size(SIZE)
    create(disk, SIZE, "twoGbMaxExtentSparse")
    with open_image(disk, write=True) as image:
        model.scribble(image.layer, 3)
        extents = list(image.map())
    assert [one.offset + one.length for one in extents[:-1]] == [one.offset for one in extents[1:]]
    assert (extents[0].offset, extents[-1].offset + extents[-1].length) == (0, SIZE)
    for extent in extents:
        if extent.depth is None:
            assert not any(model.data[extent.offset : extent.offset + extent.length])


def test_pieces_of_2047_megabytes(tmp_path: Path, qemu_img: Qemu) -> None:
    disk = tmp_path / "large.vmdk"
    create(disk, 5 << 30, "twoGbMaxExtentSparse")
    border = 2047 << 20
    with open_image(disk, write=True) as image:
        image.layer.write(border - 512, b"\1" * 1024)
        image.layer.write((5 << 30) - 512, b"\2" * 512)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("large-s001.vmdk", "large-s002.vmdk", "large-s003.vmdk", "large.vmdk")
    ]
    raw = tmp_path / "raw"
    qemu_img("convert", "-O", "raw", disk, raw)
    with raw.open("rb") as file:
        file.seek(border - 512)
        assert file.read(1024) == b"\1" * 1024
        file.seek(-512, 2)
        assert file.read() == b"\2" * 512


def test_discarded_data_gives_its_space_back(tmp_path: Path) -> None:
    disk = tmp_path / "disk.vmdk"
    create(disk, 16 << 20, "monolithicSparse")
    with open_image(disk, write=True) as image:
        image.layer.write(0, b"\1" * (8 << 20))
        image.layer.flush()
        before = disk.stat().st_blocks
        image.layer.discard(0, 8 << 20)
        image.layer.flush()
        assert image.layer.read(0, 8 << 20) == bytes(8 << 20)
    assert before * 512 > 8 << 20
    assert disk.stat().st_blocks * 512 < 1 << 20


def test_many_grain_tables(tmp_path: Path) -> None:
    """More than are kept in memory, each with a change: none is lost when it makes room."""
    disk = tmp_path / "disk.vmdk"
    span, count = 32 << 20, 5000
    create(disk, span * count, "monolithicSparse")
    with open_image(disk, write=True) as image:
        for index in range(count):
            image.layer.write(index * span, index.to_bytes(4, "little") * 128)
        wrong = [
            i for i in range(count) if image.layer.read(i * span, 4 * 128)[:4] != i.to_bytes(4, "little")
        ]
    with open_image(disk) as image:
        wrong += [
            i for i in range(count) if image.layer.read(i * span, 4 * 128)[:4] != i.to_bytes(4, "little")
        ]
    assert wrong == []


def test_a_huge_disk_with_little_in_it(tmp_path: Path) -> None:
    """Of 2 TiB only what is there is read; a map in pieces is as good as one."""
    source, target, size = tmp_path / "source.img", tmp_path / "target.vmdk", 2 << 40
    create(source, size, "raw")
    places = (4096, (1 << 40) - 4096, size - 4096)
    with open_image(source, write=True) as image:
        for place in places:
            image.layer.write(place, b"\1" * 4096)
    for one, other, kind in ((source, target, "monolithicSparse"), (target, tmp_path / "back.img", "raw")):
        with open_image(one) as image:
            assert convert(image, other, kind).written == len(places) << 16
        with open_image(other) as image:
            assert [image.layer.read(place, 4096) for place in places] == [b"\1" * 4096] * len(places)
            assert sum(extent.length for extent in image.map()) == size


def test_streams_cut_short_are_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "source.img", tmp_path / "target.vmdk"
    filled(source)
    with open_image(source) as image:
        convert(image, target, "streamOptimized")
    data = target.read_bytes()
    target.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match="footer is missing"):
        open_image(target)
