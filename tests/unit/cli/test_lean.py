"""Proves that the lean parser and typer read alike what both accept, and that it leaves the rest to typer."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st

from vmm.cli import app, lean
from vmm.cli.commands import NAMES, command
from vmm.cli.declare import Command
from vmm.cli.options import RunOptions
from vmm.errors import UsageError

WORDS = st.sampled_from(
    [
        *("kernel", "", "-", "--", "-h", "--help", "--memory", "--memory=1G", "--module", "--module=a=b"),
        *("--cpus", "--cpus=2", "--console", "--console=yes", "--json", "--time", "-1", "1", "--bogus"),
        *("--debug-exit", "--debug_exit", "--timeout", "2.5", "x", "--memory=", "--mem", "--until=--help"),
        "--no-console",
    ]
)


def by_typer(words: list[str]) -> Any:
    """What typer makes of the words, or None where it refuses them or shows help."""
    taken: list[Any] = []

    def take(options: Any) -> int:
        taken.append(options)
        return 0

    one = typer.Typer(add_completion=False)
    one.command()(app.typer_function(replace(command("run"), run=take)))
    try:
        one(words, standalone_mode=False)
    except app.ParserError:
        return None
    return taken[0] if taken else None


@given(words=st.lists(WORDS, max_size=7))
@example(words=["kernel", "--console", "--module", "a=b", "--module=c", "--memory", "1G", "--timeout", "2.5"])
def test_what_the_lean_parser_takes_typer_takes_alike(words: list[str]) -> None:
    try:
        quick = lean.parse(RunOptions, words)
    except UsageError as refusal:
        with pytest.raises(UsageError, match=str(refusal)):
            by_typer(words)
        return
    if quick is not None:
        assert by_typer(words) == quick


def test_everyday_command_line_is_taken() -> None:
    words = ["k", "--append", "a=b c", "--module", "m=x", "--module", "n", "--cpus=4", "--console"]
    options = lean.parse(RunOptions, [*words, "--json", "-"])
    assert options is not None
    assert (options.append, options.module, options.cpus) == ("a=b c", ["m=x", "n"], 4)
    assert options.console
    assert str(options.json) == "-"


@pytest.mark.parametrize(
    "words",
    [[], ["k", "l"], ["k", "--help"], ["k", "--memory"], ["k", "--timeout", "-1"], ["k", "--console=1"]],
)
def test_the_rest_is_left_to_typer(words: list[str]) -> None:
    assert lean.parse(RunOptions, words) is None


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name: str) -> None:
    one: Command[Any] = command(name)
    assert one.run.__doc__


SLOW = ("typer", "pydantic", "rich", "capstone", "keystone", "elftools", "PIL", "lzma", "zstandard", "json")


def test_a_run_loads_nothing_slow_that_it_does_not_need() -> None:
    code = (
        "import sys; from vmm.cli import main; code = main(['run', '/dev/null']); "
        f"print(code, [name for name in {SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n"
