"""`vmm run` as a user types it, with its JSON report read back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.packages import ROOT

PATIENCE = 300
"""Wall seconds before a run that does not end is killed: many times what any of them takes."""


@dataclass(frozen=True, slots=True)
class Ended:
    """`serial` is stdout, `said` is stderr; `report` is empty if the run wrote none."""

    code: int
    serial: str
    said: str
    report: dict[str, Any]


def vmm_run(
    *arguments: str | Path, report: Path | None = None, program: Sequence[str | Path] = (), cwd: Path = ROOT
) -> Ended:
    """Run `vmm run ARGUMENTS` to its end; `program` instead of this Python's `-m vmm`."""
    start = program or (sys.executable, "-m", "vmm")
    wants_report = ("--json", report) if report else ()
    command = [str(word) for word in (*start, "run", *arguments, *wants_report)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, timeout=PATIENCE, check=False)
    written = json.loads(report.read_text()) if report and report.exists() else {}
    return Ended(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), written
    )
