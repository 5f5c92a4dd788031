"""`vmm disk info`: what an image is, and what is under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmm.cli.declare import Command, argument, option
from vmm.cli.disk import FORMAT_HELP, JSON_HELP, show, size_text
from vmm.storage.chain import open_image
from vmm.storage.image import Image, Level
from vmm.storage.snapshot import snapshots
from vmm.storage.tracking import is_tracked


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """As typed."""

    file: Path = argument("FILE", "A disk image.", Path)
    format: str | None = option(None, "FORMAT", FORMAT_HELP)
    json: Path | None = option(None, "FILE", JSON_HELP, Path)


def disk_info(options: InfoOptions) -> int:
    """Show a disk's format, size, files, the images under it and its snapshots, also while a VM uses it.

    Examples:

    \b
      vmm disk info web.vmdk
      vmm disk info web-000002.vmdk --json -
    """
    with open_image(options.file, format=options.format, locked=False) as image:
        report = _report(image, options.file)
    show(options.json, report, "".join(f"{line}\n" for line in _lines(report)))
    return 0


def _report(image: Image, path: Path) -> dict[str, Any]:
    vmdk = image.format == "vmdk"
    return {
        "file": str(path),
        "format": image.format,
        "size": image.size,
        "space": sum(file.stat().st_blocks * 512 for file in image.files if file.is_file()),
        "files": [str(file) for file in image.files],
        "tracked": is_tracked(path),
        "chain": [_level(level) for level in image.levels],
        "snapshots": [
            {"name": one.name, "file": str(one.file), "redo": str(one.redo)} for one in snapshots(path)
        ]
        if vmdk
        else [],
    }


def _level(level: Level) -> dict[str, Any]:
    return {"file": str(level.path), "format": level.format, "size": level.size, **level.notes}


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"file       {report['file']}"
    yield f"format     {_format(report['chain'][0])}"
    yield f"size       {size_text(report['size'])}"
    yield f"space      {size_text(report['space'])} in {len(report['files'])} files"
    for level in report["chain"][1:]:
        yield f"below it   {level['file']} ({_format(level)}, {size_text(level['size'])})"
    for one in report["snapshots"]:
        yield f"snapshot   {one['name']}: {one['file']}"
    if report["tracked"]:
        yield "tracked    changes are noted"


def _format(level: dict[str, Any]) -> str:
    kind = level.get("create_type")
    unclean = ", was not closed" if level.get("unclean") else ""
    return f"{level['format']} {kind}{unclean}" if kind else str(level["format"])


COMMAND = Command(InfoOptions, disk_info)
