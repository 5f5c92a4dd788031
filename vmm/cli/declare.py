"""How a command declares what it takes: as the fields of a data class, each with a word for its help.

Plain data, from which `lean.py` reads a command line and `app.py` makes typer's parameters. Both hand over
words as they were typed; what they mean is decided here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, NamedTuple, TypeVar

from vmm.errors import UsageError

O = TypeVar("O")  # noqa: E741


class Parameter(NamedTuple):
    """One field as the command line has it: an argument, or an option that takes a word (`read` makes its
    value), that takes one each time it is given (`repeats`), or that takes none (`read` is None)."""

    metavar: str
    help: str
    read: Callable[[str], Any] | None
    repeats: bool = False
    positional: bool = False


@dataclass(frozen=True, slots=True)
class Command(Generic[O]):
    """A subcommand: `run` takes an instance of the data class `options` and returns the exit code; its
    docstring is the help, `epilog` what stands under it."""

    options: type[O]
    run: Callable[[O], int]
    epilog: str = ""


def argument(metavar: str, help: str, read: Callable[[str], Any] = str) -> Any:
    """A field that must be given, by its place."""
    return field(metadata={"cli": Parameter(metavar, help, read, positional=True)})


def option(default: Any, metavar: str, help: str, read: Callable[[str], Any] = str) -> Any:
    """A field given as `--name WORD`."""
    return field(default=default, metadata={"cli": Parameter(metavar, help, read)})


def repeated(metavar: str, help: str, read: Callable[[str], Any] = str) -> Any:
    """A field, a list, given as `--name WORD` any number of times."""
    return field(default_factory=list, metadata={"cli": Parameter(metavar, help, read, repeats=True)})


def flag(help: str) -> Any:
    """A field that is true if `--name` is given."""
    return field(default=False, metadata={"cli": Parameter("", help, None)})


def parameters(options: type[Any]) -> dict[str, Parameter]:
    """The parameters of a data class by field name, in the order they are declared."""
    return {one.name: one.metadata["cli"] for one in fields(options)}


def flag_of(name: str) -> str:
    """How field `name` is written on the command line: `--debug-exit` for `debug_exit`, `--class` for
    `class_`."""
    return "--" + name.rstrip("_").replace("_", "-")


def read_options(options: type[O], typed: Mapping[str, Any]) -> O:
    """An instance of the data class from words by field name; UsageError naming the option for a bad one."""
    known = parameters(options)
    return options(**{name: _read(name, known[name], words) for name, words in typed.items()})


def _read(name: str, parameter: Parameter, words: Any) -> Any:
    read = parameter.read
    if read is None:
        return words
    try:
        return [read(word) for word in words] if parameter.repeats else read(words)
    except UsageError as error:
        raise UsageError(f"{flag_of(name)}: {error}") from None
