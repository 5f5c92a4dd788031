"""The commands by name. Each is imported when it is asked for: the others would only cost time."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from vmm.cli.declare import Command

NAMES = (
    *("run", "sbe", "models", "insns", "bench traps", "bench check", "bench image"),
    *("disk create", "disk info", "disk convert", "disk check", "disk snapshot", "disk map", "disk grow"),
    "disk track",
)
"""A name of two words is a command of a group: `bench traps` is `COMMAND` of vmm/cli/bench_traps.py."""

GROUPS = {
    "bench": "Measure what virtual machines cost, exactly and in time.",
    "disk": "Make, convert, check and snapshot disk images: raw, VMDK, qcow2 (read).",
}
"""Help of each group. One that has no command is not offered."""


def command(name: str) -> Command[Any]:
    """The command called `name`, one of `NAMES`."""
    found: Command[Any] = importlib.import_module(f"vmm.cli.{name.replace(' ', '_')}").COMMAND
    return found


def named(words: Sequence[str]) -> tuple[str, Sequence[str]] | None:
    """The command that `words` begin with and the words behind its name, or None if they name none."""
    for length in (1, 2):
        name = " ".join(words[:length])
        if name in NAMES:
            return name, words[length:]
    return None
