"""`vmm disk convert`: a disk's contents into an image of another type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmm.cli.declare import Command, argument, flag, option
from vmm.cli.disk import FORMAT_HELP, JSON_HELP, progress, show, size_text
from vmm.cli.disk_create import TYPE_HELP
from vmm.cli.streams import check_target
from vmm.storage.chain import open_image
from vmm.storage.convert import convert
from vmm.storage.create import kind_for, kind_named


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """As typed."""

    source: Path = argument("SOURCE", "The image to read; of a redo log, its whole chain.", Path)
    target: Path = argument("TARGET", "The image to make.", Path)
    type: str | None = option(None, "TYPE", TYPE_HELP)
    format: str | None = option(None, "FORMAT", FORMAT_HELP)
    preallocate: bool = flag("Take all the space now; for raw and flat types.")
    force: bool = flag("Replace a file that exists.")
    json: Path | None = option(None, "FILE", JSON_HELP, Path)


def disk_convert(options: ConvertOptions) -> int:
    """Copy what a disk shows into a new image. Zeros take no space there, and nothing is left below it.

    TARGET appears when it is complete: Ctrl-C, a full host disk or an error leave nothing behind.

    Examples:

    \b
      vmm disk convert debian.qcow2 debian.vmdk
      vmm disk convert web-000002.vmdk web.img
      vmm disk convert web.vmdk web-export.vmdk --type streamOptimized
    """
    check_target(options.json)
    kind = kind_for(options.target) if options.type is None else kind_named(options.type)
    with open_image(options.source, format=options.format) as source, progress("converting") as report:
        done = convert(
            source,
            options.target,
            kind,
            force=options.force,
            preallocate=options.preallocate,
            progress=report,
        )
    facts = {"target": str(options.target), "type": kind, **done._asdict()}
    text = f"{options.target}: {kind} of {size_text(done.size)}, {size_text(done.written)} of it data\n"
    show(options.json, facts, text)
    return 0


COMMAND = Command(ConvertOptions, disk_convert)
