"""Proves snapshots: states stay what they were, whatever is deleted or reverted; QEMU reads the chains."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.conftest import Qemu
from tests.storage.model import Model, contents
from vmm.errors import ImageError, UsageError
from vmm.storage import open_image, snapshot
from vmm.storage.check import check
from vmm.storage.create import create
from vmm.storage.grow import grow

SIZE = 6 << 20


def disk_at(path: Path, kind: str = "monolithicSparse") -> Path:
    create(path, SIZE, kind)
    return path


def scribble(path: Path, model: Model, seed: int, count: int = 12) -> None:
    with open_image(path, write=True) as image:
        model.scribble(image.layer, seed, count, 100)


def shown(path: Path) -> bytes:
    with open_image(path) as image:
        return contents(image.layer)


def test_redo_logs_are_named_as_by_esx(tmp_path: Path) -> None:
    disk = disk_at(tmp_path / "web.vmdk")
    assert snapshot.create(disk, "one").name == "web-000001.vmdk"
    assert snapshot.create(disk, "two").name == "web-000002.vmdk"
    assert [(one.name, one.file.name) for one in snapshot.snapshots(disk)] == [
        ("one", "web.vmdk"),
        ("two", "web-000001.vmdk"),
    ]


@pytest.mark.parametrize("kind", ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse"])
def test_qemu_reads_a_chain(kind: str, tmp_path: Path, qemu_img: Qemu) -> None:
    disk, model = disk_at(tmp_path / "web.vmdk", kind), Model.of_size(SIZE)
    scribble(disk, model, 1)
    for number in range(2, 5):
        disk = snapshot.create(disk, f"state {number}")
        scribble(disk, model, number)
    assert "identical" in qemu_img("compare", "-f", "raw", model.save(tmp_path / "m"), disk)
    assert "No errors" in qemu_img("check", disk)
    assert [report.problems for report in check(disk) if report.problems] == []


def test_a_raw_base(tmp_path: Path) -> None:
    disk, model = disk_at(tmp_path / "web.img", "raw"), Model.of_size(SIZE)
    scribble(disk, model, 1)
    redo = snapshot.create(disk, "one")
    scribble(redo, model, 2)
    assert shown(redo) == model.data
    assert snapshot.commit(redo) == disk
    assert disk.read_bytes() == model.data


def test_a_split_redo_log(tmp_path: Path) -> None:
    """As VMware makes them: several sparse extents, each over its part of one parent."""
    base, redo = tmp_path / "base.vmdk", tmp_path / "split.vmdk"
    size, border = 5 << 30, 2047 << 20
    create(base, size, "monolithicSparse")
    with open_image(base, write=True) as image:
        image.layer.write(border - 512, b"\1" * 1024)
        image.layer.write(size - 4096, b"\2" * 4096)
    with open_image(base) as image:
        cid = image.levels[0].notes["cid"]
    create(redo, size, "twoGbMaxExtentSparse")
    link = f'parentCID={cid}\nparentFileNameHint="base.vmdk"\n'
    redo.write_text(redo.read_text().replace("parentCID=ffffffff\n", link))
    with open_image(redo, write=True) as image:
        image.layer.write(border - 1024, b"\3" * 1024)
        image.layer.write(size - 512, b"\4" * 512)
    with open_image(redo) as image:
        assert image.layer.read(border - 1024, 2048) == b"\3" * 1024 + b"\1" * 512 + bytes(512)
        assert image.layer.read(size - 4096, 4096) == b"\2" * 3584 + b"\4" * 512
        assert [level.path for level in image.levels] == [redo, base]


def test_zeros_over_a_parent_take_no_space(tmp_path: Path) -> None:
    disk = disk_at(tmp_path / "web.vmdk")
    with open_image(disk, write=True) as image:
        image.layer.write(0, b"\1" * SIZE)
    redo = snapshot.create(disk, "full")
    with open_image(redo, write=True) as image:
        image.layer.discard(0, SIZE)
    assert shown(redo) == bytes(SIZE)
    assert redo.stat().st_size < 1 << 18


@settings(max_examples=300 if os.environ.get("VMM_FUZZ") == "long" else 15)
@given(data=st.data())
def test_any_sequence_of_actions(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = disk_at(tmp_path_factory.mktemp("chain") / "web.vmdk")
    model, states = Model.of_size(SIZE), dict[str, bytes]()
    disk = base
    for step in range(data.draw(st.integers(2, 7))):
        action = data.draw(st.sampled_from(["write", "create", "delete", "revert", "commit"]))
        name = data.draw(st.sampled_from(sorted(states))) if states else ""
        if action == "write":
            scribble(disk, model, step, 4)
        elif action == "create":
            disk = snapshot.create(base, f"s{step}")
            states[f"s{step}"] = bytes(model.data)
        elif not name:
            continue
        elif action == "delete":
            disk = snapshot.delete(base, name)
            del states[name]
        elif action == "revert":
            disk = snapshot.revert(base, name)
            model.data[:] = states[name]
            newer = [one.name for one in snapshot.snapshots(base)]
            states = {one: state for one, state in states.items() if one in newer}
        else:
            states.pop(snapshot.snapshots(base)[-1].name)
            disk = snapshot.commit(base)
        assert shown(disk) == model.data
        assert {one.name: shown(one.file) for one in snapshot.snapshots(base)} == states
    assert [report.problems for report in check(disk) if report.problems] == []


def test_a_parent_that_was_written_to_is_noticed(tmp_path: Path) -> None:
    disk = disk_at(tmp_path / "web.vmdk")
    redo = snapshot.create(disk, "one")
    with open_image(disk, write=True):
        pass
    assert shown(redo) == bytes(SIZE)
    with open_image(disk, write=True) as image:
        image.layer.write(0, b"\1" * 512)
    with pytest.raises(ImageError, match="was written to after this redo log was made"):
        open_image(redo)
    assert check(redo)[0].problems


def test_a_grown_redo_log_grows_the_disk_it_is_committed_to(tmp_path: Path, qemu_img: Qemu) -> None:
    disk, model = disk_at(tmp_path / "web.vmdk"), Model.of_size(SIZE)
    scribble(disk, model, 1)
    redo = snapshot.create(disk, "one")
    grow(redo, 100 << 20)
    model.grow(100 << 20)
    scribble(redo, model, 2)
    assert "identical" in qemu_img("compare", "-f", "raw", model.save(tmp_path / "m"), redo)
    assert snapshot.commit(disk) == disk
    assert shown(disk) == model.data


@pytest.mark.parametrize("kind", ["raw", "monolithicSparse", "monolithicFlat"])
def test_growing(kind: str, tmp_path: Path, qemu_img: Qemu) -> None:
    disk, model = disk_at(tmp_path / "web.vmdk", kind), Model.of_size(SIZE)
    scribble(disk, model, 1)
    for size in (7 << 20, 90 << 20):
        grow(disk, size)
        model.grow(size)
        scribble(disk, model, size)
        assert shown(disk) == model.data
    found = "raw" if kind == "raw" else "vmdk"
    assert "identical" in qemu_img(
        "compare", "-f", "raw", "-F", found, model.save(tmp_path / "model.img"), disk
    )
    with pytest.raises(UsageError, match="disks do not shrink"):
        grow(disk, SIZE)


def test_what_another_disk_needs_is_not_merged_into(tmp_path: Path) -> None:
    disk = disk_at(tmp_path / "web.vmdk")
    first = snapshot.create(disk, "one")
    other = tmp_path / "web-000777.vmdk"
    other.write_bytes(first.read_bytes())
    with pytest.raises(UsageError, match="several redo logs"):
        snapshot.commit(disk)
    with pytest.raises(UsageError, match=r"web-000777\.vmdk needs it as it is"):
        snapshot.commit(first)


def test_a_disk_in_use_is_left_alone(tmp_path: Path) -> None:
    disk = disk_at(tmp_path / "web.vmdk")
    redo = snapshot.create(disk, "one")
    with open_image(redo, write=True):
        with pytest.raises(UsageError, match="in use by this process"):
            snapshot.create(disk, "two")
        with pytest.raises(UsageError, match="in use by this process"):
            snapshot.commit(disk)
        with pytest.raises(UsageError, match="in use by this process"):
            snapshot.revert(disk, "one")
    assert [one.name for one in snapshot.snapshots(disk)] == ["one"]


def test_names(tmp_path: Path) -> None:
    disk = disk_at(tmp_path / "web.vmdk")
    snapshot.create(disk, "vor dem Update äöü")
    for name, reason in (("vor dem Update äöü", "already"), ('a"b', "quotation"), ("", "1 to 80")):
        with pytest.raises(UsageError, match=reason):
            snapshot.create(disk, name)
    with pytest.raises(UsageError, match="no snapshot 'x'; there are: vor dem"):
        snapshot.find(disk, "x")


def test_an_interrupted_commit_can_be_done_again(tmp_path: Path) -> None:
    disk, model = disk_at(tmp_path / "web.vmdk"), Model.of_size(SIZE)
    scribble(disk, model, 1)
    redo = snapshot.create(disk, "one")
    scribble(redo, model, 2)
    pieces = random.Random(1).randrange(1, 4)

    def stop(done: int, total: int) -> None:
        nonlocal pieces
        pieces -= 1
        if not pieces:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        snapshot.commit(redo, stop)
    assert shown(redo) == model.data
    assert snapshot.commit(redo) == disk
    assert shown(disk) == model.data
