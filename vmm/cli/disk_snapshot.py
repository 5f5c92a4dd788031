"""`vmm disk snapshot`: freeze a disk, go back, forget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmm.cli.declare import Command, argument, flag, option
from vmm.cli.disk import JSON_HELP, progress, show
from vmm.errors import UsageError
from vmm.storage import snapshot
from vmm.storage.convert import Progress


@dataclass(frozen=True, kw_only=True)
class SnapshotOptions:
    """As typed."""

    file: Path = argument("FILE", "The disk: its base or any of its redo logs.", Path)
    create: str | None = option(None, "NAME", "Freeze the disk as it is now.")
    revert: str | None = option(None, "NAME", "Go back to a snapshot; what was written since is lost.")
    delete: str | None = option(None, "NAME", "Forget a snapshot; the disk itself stays as it is.")
    commit: bool = flag("Merge the newest redo log into the file below it.")
    json: Path | None = option(None, "FILE", JSON_HELP, Path)


def disk_snapshot(options: SnapshotOptions) -> int:
    """List a disk's snapshots, or make one, go back to one, delete one.

    A snapshot is made at once, whatever the disk's size: the disk's file is frozen, and a redo log beside it,
    web-000001.vmdk, takes what is written from then on. Every action prints the file that is the disk from
    then on: give that to vmm run --disk. The VM must not run meanwhile.

    Examples:

    \b
      vmm disk snapshot web.vmdk
      vmm disk snapshot web.vmdk --create before-update
      vmm disk snapshot web.vmdk --revert before-update
      vmm disk snapshot web.vmdk --delete before-update
    """
    given = [name for name in ("create", "revert", "delete", "commit") if getattr(options, name)]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]} are different actions; give one")
    if not given:
        return _list(options)
    with progress(given[0]) as report:
        current = _act(options, report)
    show(options.json, {"disk": str(current)}, f"{current}\n")
    return 0


def _act(options: SnapshotOptions, report: Progress) -> Path:
    if options.create is not None:
        return snapshot.create(options.file, options.create)
    if options.revert is not None:
        return snapshot.revert(options.file, options.revert)
    if options.delete is not None:
        return snapshot.delete(options.file, options.delete, report)
    return snapshot.commit(options.file, report)


def _list(options: SnapshotOptions) -> int:
    found = snapshot.snapshots(options.file)
    disk = snapshot.chain_of(options.file)[0]
    facts = {
        "disk": str(disk),
        "snapshots": [{"name": one.name, "file": str(one.file), "redo": str(one.redo)} for one in found],
    }
    lines = [f"{one.name}  {one.file}\n" for one in found]
    show(options.json, facts, "".join([*lines, f"the disk is {disk}\n"]))
    return 0


COMMAND = Command(SnapshotOptions, disk_snapshot)
