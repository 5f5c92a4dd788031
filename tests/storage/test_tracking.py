"""Proves changed-block tracking: an old copy plus what is said to have changed is the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storage.model import Model
from vmm.errors import UsageError
from vmm.storage import open_image, snapshot, tracking
from vmm.storage.create import create

SIZE = 6 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "web.vmdk"
    create(path, SIZE, "monolithicSparse")
    return path


def scribble(disk: Path, model: Model, seed: int) -> None:
    with open_image(disk, write=True) as image, tracking.tracked(disk, image):
        model.scribble(image.layer, seed, 5, 40)
        image.layer.flush()


def patched(old: bytes, model: Model, areas: list[tracking.Area]) -> bytes:
    copy = bytearray(old)
    for offset, length in areas:
        copy[offset : offset + length] = model.data[offset : offset + length]
    return bytes(copy)


def test_an_incremental_backup(disk: Path) -> None:
    model, states = Model.of_size(SIZE), []
    change_id = tracking.enable(disk)
    for seed in range(4):
        states.append((change_id, bytes(model.data)))
        scribble(disk, model, seed)
        change_id = tracking.checkpoint(disk)
    for before, old in states:
        areas = tracking.changed(disk, before)
        assert patched(old, model, areas) == model.data
        assert sum(area.length for area in areas) < SIZE
    assert tracking.changed(disk, change_id) == []


def test_it_follows_the_disk_through_snapshots(disk: Path) -> None:
    model = Model.of_size(SIZE)
    first = tracking.enable(disk)
    scribble(disk, model, 1)
    redo = snapshot.create(disk, "one")
    scribble(redo, model, 2)
    assert patched(bytes(SIZE), model, tracking.changed(redo, first)) == model.data
    snapshot.commit(redo)
    assert patched(bytes(SIZE), model, tracking.changed(disk, first)) == model.data


def test_after_a_crash_nothing_is_claimed(disk: Path) -> None:
    change_id = tracking.enable(disk)
    image = open_image(disk, write=True)
    tracking.begin(disk, image)
    image.layer.write(0, b"\1" * 512)
    image.close()  # without tracking.end
    with pytest.raises(UsageError, match="take the whole disk"):
        tracking.changed(disk, change_id)
    assert tracking.checkpoint(disk).partition("/")[0] != change_id.partition("/")[0]
    with pytest.raises(UsageError, match="take the whole disk"):
        tracking.changed(disk, change_id)


def test_after_a_revert_nothing_is_claimed(disk: Path) -> None:
    change_id = tracking.enable(disk)
    redo = snapshot.create(disk, "one")
    snapshot.revert(disk, "one")
    with pytest.raises(UsageError, match="take the whole disk"):
        tracking.changed(redo, change_id)


def test_refusals(disk: Path) -> None:
    with pytest.raises(UsageError, match="is not tracked"):
        tracking.checkpoint(disk)
    tracking.enable(disk)
    with pytest.raises(UsageError, match="is no change ID"):
        tracking.changed(disk, "yesterday")
