"""The commands, tied to their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast

import typer

from vmm.cli.insns import insns
from vmm.cli.models import models
from vmm.cli.options import RunOptions, takes
from vmm.cli.outcome import EXIT_CODES
from vmm.cli.run import run as run_command
from vmm.cli.sbe import SbeOptions, sbe
from vmm.config.version import VERSION
from vmm.errors import UsageError
from vmm.monitor import engine_version

_ParserError = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""The parser's usage error: typer does not export it, and has its parser from click or inside itself."""

app = typer.Typer(
    name="vmm",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="VMware ESX rebuilt: virtual machines through scan before execution.",
)
app.command("run", epilog=EXIT_CODES)(takes(RunOptions)(run_command))
app.command("sbe")(takes(SbeOptions)(sbe))
app.command("models")(models)
app.command("insns")(insns)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"vmm {VERSION}, {engine_version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _vmm(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None and not version:
        raise UsageError("no command; vmm --help lists them")


def run(arguments: Sequence[str] | None) -> int:
    """Parse and run; UsageError, one line, for what the parser refuses."""
    try:
        code = app(list(arguments) if arguments is not None else None, prog_name="vmm", standalone_mode=False)
    except _ParserError as error:
        raise UsageError(_message(error)) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    return int(code or 0)


def _message(error: BaseException) -> str:
    format_message = getattr(error, "format_message", None)
    text = str(format_message() if format_message else error).rstrip(".")
    return f"{text}; see vmm --help"
