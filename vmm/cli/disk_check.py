"""`vmm disk check`: whether an image is sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from vmm.cli.declare import Command, argument, flag, option
from vmm.cli.disk import JSON_HELP, show, size_text
from vmm.storage.check import Report, check

SOUND, DAMAGED, LEAKS = 0, 1, 3

EPILOG = """\
Exit codes:

\b
  0    sound
  1    damaged: contents are wrong or missing
  3    sound, but space is lost in the file
  2    no disk image that could be checked
"""


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """As typed."""

    file: Path = argument("FILE", "A disk image.", Path)
    repair: bool = flag("Close an image that was not, and give lost space at its end back.")
    json: Path | None = option(None, "FILE", JSON_HELP, Path)


def disk_check(options: CheckOptions) -> int:
    """Look at every table and pointer of a disk image and of those under it.

    Only metadata is read. Raw images have none: there is nothing in them to check.

    Examples:

    \b
      vmm disk check web.vmdk
      vmm disk check web.vmdk --repair
    """
    reports = check(options.file, repair=options.repair)
    facts = [{**asdict(report), "path": str(report.path)} for report in reports]
    show(options.json, facts, "".join(f"{line}\n" for report in reports for line in _lines(report)))
    if any(report.problems for report in reports):
        return DAMAGED
    return LEAKS if any(report.leaked for report in reports) else SOUND


def _lines(report: Report) -> Iterator[str]:
    state = "damaged" if report.problems else "sound"
    yield f"{report.path}: {report.format}, {state}, {size_text(report.used)} in use"
    yield from (f"  problem: {text}" for text in report.problems)
    yield from (f"  note: {text}" for text in report.notes)
    yield from (f"  repaired: {text}" for text in report.repaired)
    if report.leaked:
        yield f"  lost space: {size_text(report.leaked)}"


COMMAND = Command(CheckOptions, disk_check, EPILOG)
