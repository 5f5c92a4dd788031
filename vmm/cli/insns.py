"""`vmm insns`: the table of privileged and sensitive instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vmm.cli.declare import Command, option
from vmm.cli.report import to_json
from vmm.cli.streams import STDOUT, check_target, write_text
from vmm.monitor import library
from vmm.sbe.insn_table import Insn, InsnTable

_COLUMNS = ("name", "instruction", "class", "kind", "full", "adaptive", "allowed", "why")


@dataclass(frozen=True, kw_only=True)
class InsnsOptions:
    """Where the table goes."""

    json: Path | None = option(None, "FILE", "Write the table there, - for stdout.", Path)


def insns(options: InsnsOptions) -> int:
    """List the instructions scan-before-execution looks for: what each profile does with them, which policies
    --policy may give them by their name in the first column, and why they are there."""
    check_target(options.json)
    table = InsnTable(*library())
    if options.json is not None:
        write_text(options.json, to_json([asdict(row) for row in table.rows]))
        return 0
    rows = [_cells(row) for row in table.rows]
    widths = [max(len(row[column]) for row in [_COLUMNS, *rows]) for column in range(len(_COLUMNS) - 1)]
    write_text(STDOUT, "".join(_line(row, widths) for row in [_COLUMNS, *rows]))
    return 0


def _cells(row: Insn) -> tuple[str, ...]:
    allowed = ",".join(row.allowed)
    return (row.id, row.mnemonic, row.class_name, row.kind, row.full, row.adaptive, allowed, row.why)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*cells, row[-1]]) + "\n"


COMMAND = Command(InsnsOptions, insns)
