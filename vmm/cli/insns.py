"""`vmm insns`: the table of privileged and sensitive instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vmm.cli.report import to_json
from vmm.cli.streams import STDOUT, check_target, write_text
from vmm.monitor import library
from vmm.sbe.insn_table import InsnTable

_COLUMNS = ("instruction", "class", "kind", "full", "adaptive", "why")


def insns(
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the table there, - for stdout.", show_default=False),
    ] = None,
) -> int:
    """List the instructions scan-before-execution looks for: what each profile does with them, and why."""
    check_target(json)
    table = InsnTable(*library())
    if json is not None:
        write_text(json, to_json([asdict(row) for row in table.rows]))
        return 0
    rows = [(row.mnemonic, row.class_name, row.kind, row.full, row.adaptive, row.why) for row in table.rows]
    widths = [max(len(row[column]) for row in [_COLUMNS, *rows]) for column in range(len(_COLUMNS) - 1)]
    write_text(STDOUT, "".join(_line(row, widths) for row in [_COLUMNS, *rows]))
    return 0


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*cells, row[-1]]) + "\n"
