"""What the commands of `vmm disk` share: progress on a terminal, an end by signal that leaves no half file,
reports as text or JSON."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from vmm.cli.report import to_json
from vmm.cli.streams import STDOUT, check_target, write_text
from vmm.config.quantity import parse_size
from vmm.storage.convert import Progress, nothing

JSON_HELP = "Write the result there, - for stdout."
FORMAT_HELP = "Insist on raw, vmdk or qcow2 instead of looking at the contents."


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar on stderr, if that is a terminal, while the block runs; SIGTERM ends that like Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        if not sys.stderr.isatty():
            yield nothing
            return
        # Slow to load, and of use to a person only.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        with Bar(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def show(json: Path | None, report: Any, text: str) -> None:
    """A result: as JSON where that is asked for, else as lines on stdout."""
    check_target(json)
    if json is not None:
        write_text(json, to_json(report))
    else:
        write_text(STDOUT, text)


def size_text(size: int) -> str:
    """Bytes as people read them: `1.5G (1610612736 bytes)`."""
    value, unit = float(size), ""
    for unit in ("", "K", "M", "G", "T"):
        if value < 1024 or unit == "T":
            break
        value /= 1024
    return f"{value:.4g}{unit} ({size} bytes)" if unit else f"{size} bytes"


def disk_size(text: str) -> int:
    """A size in bytes, rounded up to whole sectors."""
    return -(-parse_size(text) // 512) * 512
