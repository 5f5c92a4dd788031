"""The `vmm` command: one file per subcommand, errors as one line, exit codes as `vmm run --help` lists them.

Reading order: `declare.py` and `commands.py` (what there is), `run.py`, `session.py` (a run with its streams
and signals), `outcome.py` (exit codes), `report.py` (`--json`); `lean.py` and `app.py` parse.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from vmm.cli.guard import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (default: sys.argv) and return the exit code; never raises."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    return guarded(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    # Imported under guard: a missing extension is one line too.
    from vmm.cli import lean  # noqa: PLC0415
    from vmm.cli.commands import command, named  # noqa: PLC0415

    if (found := named(words)) is not None:
        one = command(found[0])
        options = lean.parse(one.options, found[1])
        if options is not None:
            return one.run(options)
    return int(importlib.import_module("vmm.cli.app").run(words))
