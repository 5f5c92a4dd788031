"""`vmm disk map`: which parts of a disk are where, or have changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmm.cli.declare import Command, argument, option
from vmm.cli.disk import FORMAT_HELP, JSON_HELP, show
from vmm.storage.chain import open_image
from vmm.storage.tracking import changed


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """As typed."""

    file: Path = argument("FILE", "A disk image.", Path)
    format: str | None = option(None, "FORMAT", FORMAT_HELP)
    since: str | None = option(None, "ID", "Only what changed since this change ID; see vmm disk track.")
    json: Path | None = option(None, "FILE", JSON_HELP, Path)


def disk_map(options: MapOptions) -> int:
    """List the parts of a disk that an image holds: offset, length, and the file that has them.

    What is not listed reads as zeros. With --since: what changed, which is what an incremental backup copies.

    Examples:

    \b
      vmm disk map web-000001.vmdk
      vmm disk map web.vmdk --since 9f0c2d…/4 --json changed.json
    """
    rows = _held(options) if options.since is None else _changed(options.file, options.since)
    text = "".join(f"{offset:>#16x} {length:>#14x}  {file}\n" for offset, length, file in rows)
    show(options.json, [{"offset": at, "length": length, "file": file} for at, length, file in rows], text)
    return 0


def _held(options: MapOptions) -> list[tuple[int, int, str]]:
    with open_image(options.file, format=options.format) as image:
        return [
            (extent.offset, extent.length, str(image.levels[extent.depth].path))
            for extent in image.map()
            if extent.depth is not None
        ]


def _changed(path: Path, since: str) -> list[tuple[int, int, str]]:
    return [(area.offset, area.length, str(path)) for area in changed(path, since)]


COMMAND = Command(MapOptions, disk_map)
