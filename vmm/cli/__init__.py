"""The `vmm` command: one file per subcommand, errors as one line, exit codes as `vmm run --help` lists them.

Reading order: `app.py` (the commands), `run.py`, `session.py` (a run with its streams and signals),
`outcome.py` (exit codes), `report.py` (`--json`).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from vmm.cli.guard import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (default: sys.argv) and return the exit code; never raises."""
    # Imported under guard: a missing extension is one line too.
    return guarded(lambda: int(importlib.import_module("vmm.cli.app").run(arguments)))
