"""The commands by name. Each is imported when it is asked for: the others would only cost time."""

from __future__ import annotations

import importlib
from typing import Any

from vmm.cli.declare import Command

NAMES = ("run", "sbe", "models", "insns")


def command(name: str) -> Command[Any]:
    """The command called `name`, one of `NAMES`."""
    found: Command[Any] = importlib.import_module(f"vmm.cli.{name}").COMMAND
    return found
