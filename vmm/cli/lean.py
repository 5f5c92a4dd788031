"""Reads a command line that is plainly right, without waiting for typer.

Typer and what it imports take longer to start than a small guest takes to run. What is not plain (help, a
short option, a word that is missing or left over, a value that looks like an option) is left to typer, which
has the words for it; what both accept, they read alike (tests/unit/cli/test_lean.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from vmm.cli.declare import Parameter, flag_of, parameters, read_options

O = TypeVar("O")  # noqa: E741


def parse(options: type[O], words: Sequence[str]) -> O | None:
    """The options in `words`, or None if typer must look; UsageError for a word that cannot be read."""
    typed = _typed(parameters(options), words)
    return None if typed is None else read_options(options, typed)


def _typed(known: dict[str, Parameter], words: Sequence[str]) -> dict[str, Any] | None:
    """Words by field name, or None."""
    names = {flag_of(name): name for name, one in known.items() if not one.positional}
    places = [name for name, one in known.items() if one.positional]
    typed: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            if not places:
                return None
            typed[places.pop(0)] = word
            continue
        flag, equals, value = word.partition("=")
        if flag not in names or not _take(typed, names[flag], known, value if equals else None, rest):
            return None
    return None if places else typed


def _take(
    typed: dict[str, Any], name: str, known: dict[str, Parameter], value: str | None, rest: Iterator[str]
) -> bool:
    """Note one option; `value` is what stood behind its `=`. False if that is not plain."""
    parameter = known[name]
    if parameter.read is None:
        typed[name] = True
        return value is None
    if value is None:
        value = next(rest, None)
        if value is None or (value.startswith("-") and value != "-"):
            return False
    if parameter.repeats:
        typed.setdefault(name, []).append(value)
    else:
        typed[name] = value
    return True
