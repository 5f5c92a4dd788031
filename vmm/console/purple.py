"""The purple diagnostic screen of ESX: what is shown when a guest dies.

Knows how to paint, not what to say: it gets a headline and sections of lines.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

Section = tuple[str, Sequence[str]]

_STYLE = "bright_white on #5f005f"
_HEADING = "bold bright_yellow on #5f005f"
_TITLE = "vmm: the guest died"


def show(cause: str, sections: Sequence[Section], stream: TextIO | None = None) -> None:
    """Paint on a terminal, print plain text anywhere else (default: stderr)."""
    stream = stream or sys.stderr
    if stream.isatty():
        Console(file=stream, highlight=False).print(_painted(cause, sections))
    else:
        stream.write(plain(cause, sections))
    stream.flush()


def plain(cause: str, sections: Sequence[Section]) -> str:
    """The same without colours; sections without lines are left out."""
    parts = [f"{_TITLE}: {cause}"]
    for title, lines in sections:
        if lines:
            parts += ["", title, *(f"  {line}" for line in lines)]
    return "\n".join(parts) + "\n"


def _painted(cause: str, sections: Sequence[Section]) -> Panel:
    # Text, never markup: symbol names come from the guest's image and may hold brackets.
    rows = [Text(cause, style=f"bold {_STYLE}")]
    for title, lines in sections:
        if lines:
            rows += [Text(), Text(title, style=_HEADING), *(Text(line, no_wrap=True) for line in lines)]
    return Panel(Group(*rows), title=_TITLE, style=_STYLE, border_style=_STYLE)
