"""Snapshots as ESX makes them: the disk is frozen, and a redo log on top takes what is written from then on.

Of `web.vmdk` the first redo log is `web-000001.vmdk`, the next, on top of that, `web-000002.vmdk`. The newest
one is the disk in use. A redo log's descriptor has the name of the snapshot, the state of the file below it.

Every step leaves a usable chain, whenever it is cut short: data is merged downwards while the redo log still
covers it, and a redo log is removed only when nothing needs it any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vmm.errors import HostError, UsageError, VmmError, one_line
from vmm.monitor.disk import is_zero
from vmm.storage import tracking, vmdk_descriptor
from vmm.storage.chain import backing_name, detect, open_image
from vmm.storage.convert import CHUNK, Progress, nothing
from vmm.storage.create import Parent, create_redo
from vmm.storage.files import ImageFile, sync_folder
from vmm.storage.grow import grow
from vmm.storage.image import Image
from vmm.storage.vmdk import Vmdk, open_vmdk

NAME_KEY = "ddb.vmm.snapshot"
_NUMBERED = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{6})")
_MAX_NUMBER = 999_999
_NAME = re.compile(r"[^\"\x00-\x1f\x7f]{1,80}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen state: `file` shows it, `redo` is the redo log made at that moment."""

    name: str
    file: Path
    redo: Path


def chain_of(path: Path) -> list[Path]:
    """The files of a disk from the newest redo log to the base, whichever of them is named."""
    top = path
    while children := children_of(top):
        if len(children) > 1:
            names = ", ".join(child.name for child in children)
            raise UsageError(
                one_line(f"{path}: {top.name} has several redo logs ({names}); name one of them")
            )
        top = children[0]
    files = [top]
    while (name := backing_name(files[-1])) and len(files) < 64:
        files.append(files[-1].parent / name)
    return files


def children_of(path: Path) -> list[Path]:
    """Redo logs beside `path` that were made on it: those with names as `create` gives them."""
    stem = _stem(path)
    children = []
    for other in sorted(path.absolute().parent.glob("*.vmdk")):
        match = _NUMBERED.fullmatch(other.stem)
        if match and match["stem"] == stem and other.name != path.name and _is_child(other, path):
            children.append(path.parent / other.name)
    return children


def _is_child(other: Path, path: Path) -> bool:
    try:
        name = backing_name(other)
        return bool(name) and (other.parent / name).samefile(path)
    except (VmmError, OSError):
        return False


def _stem(path: Path) -> str:
    match = _NUMBERED.fullmatch(path.stem)
    return match["stem"] if match else path.stem


def snapshots(path: Path) -> list[Snapshot]:
    """The snapshots of a disk, the oldest first."""
    files = chain_of(path)[::-1]
    return [Snapshot(name_of(redo), below, redo) for below, redo in pairwise(files)]


def name_of(redo: Path) -> str:
    """The snapshot's name in a redo log; its file's name if it has none."""
    file = ImageFile(redo, write=False, locked=False)
    try:
        if detect(file) != "vmdk":
            return redo.name
        return Vmdk(file).descriptor.ddb.get(NAME_KEY, redo.name)
    finally:
        file.close()


def find(path: Path, name: str) -> Snapshot:
    """The snapshot called `name`; UsageError if there is none."""
    known = snapshots(path)
    found = [one for one in known if one.name == name]
    if not found:
        names = ", ".join(one.name for one in known) or "none"
        raise UsageError(one_line(f"{path}: no snapshot '{name}'; there are: {names}"))
    return found[0]


def create(path: Path, name: str) -> Path:
    """Freeze the disk as it is; returns the redo log that is the disk from now on."""
    if not _NAME.fullmatch(name):
        raise UsageError("a snapshot's name has 1 to 80 characters, without quotation and control characters")
    files = chain_of(path)
    if any(one.name == name for one in snapshots(path)):
        raise UsageError(one_line(f"{path}: there is a snapshot '{name}' already"))
    redo = _make_redo(files[0], _next_name(files[0]), name)
    tracking.hand_on(files[0], redo)
    return redo


def _make_redo(below: Path, redo: Path, name: str, *, force: bool = False) -> Path:
    # Opened for writing although nothing is written: who has it open must not go on writing to it.
    file = ImageFile(below, write=True)
    try:
        cid = vmdk_descriptor.UNKNOWN_PARENT
        if detect(file) == "vmdk":
            cid = Vmdk(file).descriptor.cid
        file.sync()
    finally:
        file.close()
    with open_image(below) as image:
        size = image.size
    create_redo(redo, Parent(below.name, cid), size, {NAME_KEY: name}, force=force)
    return redo


def _next_name(top: Path) -> Path:
    stem = _stem(top)
    for number in range(1, _MAX_NUMBER + 1):
        path = top.with_name(f"{stem}-{number:06}.vmdk")
        if not path.exists():
            return path
    raise UsageError(one_line(f"{top}: no number is left for another redo log"))


def revert(path: Path, name: str) -> Path:
    """Back to snapshot `name`: what was written since is thrown away. Returns the disk in use from now on."""
    snapshot = find(path, name)
    newer = chain_of(path)
    tracked = tracking.is_tracked(newer[0])
    newer = newer[: newer.index(snapshot.redo)]
    _check_unused([*newer, snapshot.redo])
    for redo in newer:
        _remove(redo)
    _make_redo(snapshot.file, snapshot.redo, name, force=True)
    if tracked:
        tracking.enable(snapshot.redo)
    return snapshot.redo


def _check_unused(files: list[Path]) -> None:
    for path in files:
        ImageFile(path, write=True).close()


def commit(path: Path, progress: Progress = nothing) -> Path:
    """Merge the newest redo log into the file below it; returns that."""
    files = chain_of(path)
    if len(files) < 2:
        raise UsageError(one_line(f"{path}: has no redo log that could be committed"))
    return _merge(files[0], files[1], None, progress)


def delete(path: Path, name: str, progress: Progress = nothing) -> Path:
    """Forget snapshot `name`, keeping all newer states; returns the disk in use from now on."""
    snapshot = find(path, name)
    files = chain_of(path)
    index = files.index(snapshot.redo)
    above = files[index - 1] if index else None
    merged = _merge(snapshot.redo, snapshot.file, above, progress)
    return files[0] if above else merged


def _merge(redo: Path, below: Path, above: Path | None, progress: Progress) -> Path:
    """Move what `redo` holds into `below`, and put `above` there instead of on `redo`."""
    if others := [child.name for child in children_of(below) if not child.samefile(redo)]:
        raise UsageError(one_line(f"{below}: {', '.join(others)} needs it as it is"))
    with open_image(redo) as image:
        size = image.size
        below_size = image.levels[1].size
    _check_unused([redo, below, *([above] if above else [])])
    if size > below_size:
        grow(below, size)
    _copy_down(redo, below, progress)
    if above:
        _put_on(above, below)
    else:
        tracking.hand_on(redo, below)
    _remove(redo)
    return below


def _copy_down(redo: Path, below: Path, progress: Progress) -> None:
    """The content ID of `below` stays: until `redo` is gone, both together show the same as before."""
    # A redo log holds whole grains, so by itself it can be read where it has any.
    source = Image(open_vmdk(Vmdk(ImageFile(redo, write=False)), None))
    with source, open_image(below, write=True, stamp=False) as target:
        extents = [extent for extent in source.map() if extent.depth == 0]
        total, done = sum(extent.length for extent in extents), 0
        for extent in extents:
            for at in range(extent.offset, extent.offset + extent.length, CHUNK):
                data = source.layer.read(at, min(CHUNK, extent.offset + extent.length - at))
                if is_zero(data):
                    target.layer.write_zeroes(at, len(data))
                else:
                    target.layer.write(at, data)
                done += len(data)
                progress(done, total)


def _put_on(above: Path, below: Path) -> None:
    file = ImageFile(above, write=True)
    try:
        vmdk = Vmdk(file)
        vmdk.rewrite(parentFileNameHint=below.name, parentCID=f"{_cid(below):08x}")
    finally:
        file.close()


def _cid(path: Path) -> int:
    file = ImageFile(path, write=False)
    try:
        return Vmdk(file).descriptor.cid if detect(file) == "vmdk" else vmdk_descriptor.UNKNOWN_PARENT
    finally:
        file.close()


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise HostError(one_line(f"{path}: cannot be removed: {error.strerror}")) from None
    tracking.disable(path)
    sync_folder(path)
