"""`vmm disk track`: note which blocks of a disk change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmm.cli.declare import Command, argument, flag, option
from vmm.cli.disk import JSON_HELP, show
from vmm.storage import tracking


@dataclass(frozen=True, kw_only=True)
class TrackOptions:
    """As typed."""

    file: Path = argument("FILE", "A disk image.", Path)
    off: bool = flag("Stop.")
    json: Path | None = option(None, "FILE", JSON_HELP, Path)


def disk_track(options: TrackOptions) -> int:
    """Print a change ID for the disk as it is now; the first time, begin to note its changes.

    Later, vmm disk map --since ID lists what changed after that moment. The table is FILE.ctk. After a crash
    while the disk was in use nothing is known, and the map says so.

    Examples:

    \b
      vmm disk track web.vmdk
      vmm disk map web.vmdk --since 9f0c2d…/0
      vmm disk track web.vmdk --off
    """
    if options.off:
        tracking.disable(options.file)
        return 0
    known = tracking.is_tracked(options.file)
    change_id = tracking.checkpoint(options.file) if known else tracking.enable(options.file)
    show(options.json, {"file": str(options.file), "id": change_id}, f"{change_id}\n")
    return 0


COMMAND = Command(TrackOptions, disk_track)
