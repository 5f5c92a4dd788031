"""The typer application: help, and whatever `lean.py` leaves to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

import typer

from vmm.cli.commands import GROUPS, NAMES, command
from vmm.cli.declare import Command, Parameter, flag_of, parameters, read_options
from vmm.config.version import VERSION
from vmm.errors import UsageError
from vmm.monitor import engine_version

ParserError = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""The parser's usage error: typer does not export it, and has its parser from click or inside itself."""


def _new_group(name: str, text: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=text,
    )


app = _new_group("vmm", "VMware ESX rebuilt: virtual machines through scan before execution.")


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


def run(arguments: Sequence[str]) -> int:
    """Parse and run; UsageError, one line, for what the parser refuses."""
    try:
        code = app(list(arguments), prog_name="vmm", standalone_mode=False)
    except ParserError as error:
        raise UsageError(_message(error)) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    return int(code or 0)


def typer_function(one: Command[Any]) -> Callable[..., int]:
    """A function with the signature that makes typer take the parameters of a command."""

    def call(**words: Any) -> int:
        given = {name: word for name, word in words.items() if word is not None}
        return one.run(read_options(one.options, given))

    known = parameters(one.options)
    signature = [_typer_parameter(name, parameter) for name, parameter in known.items()]
    call.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in signature}
    return call


def _typer_parameter(name: str, parameter: Parameter) -> inspect.Parameter:
    kind, default = _kind(parameter)
    if parameter.positional:
        info = typer.Argument(metavar=parameter.metavar, help=parameter.help)
    else:
        metavar = parameter.metavar or None
        info = typer.Option(flag_of(name), metavar=metavar, help=parameter.help, show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
    )


def _kind(parameter: Parameter) -> tuple[Any, Any]:
    """Type and default by which typer hands over words: None for an option that is not given."""
    if parameter.positional:
        return str, inspect.Parameter.empty
    if parameter.read is None:
        return bool, False
    return (list[str], []) if parameter.repeats else (str | None, None)


def _message(error: BaseException) -> str:
    format_message = getattr(error, "format_message", None)
    text = str(format_message() if format_message else error).rstrip(".")
    return f"{text}; see vmm --help"


def _add_commands() -> None:
    groups: dict[str, typer.Typer] = {"": app}
    for name in NAMES:
        group, _, last = name.rpartition(" ")
        if group not in groups:
            groups[group] = _new_group(group, GROUPS[group])
            groups[group].callback(invoke_without_command=True)(_asks_for_a_command(group))
            app.add_typer(groups[group])
        one = command(name)
        groups[group].command(last, help=one.run.__doc__, epilog=one.epilog or None)(typer_function(one))


def _asks_for_a_command(group: str) -> Callable[[typer.Context], None]:
    def check(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            raise UsageError(f"no command of {group}; vmm {group} --help lists them")

    check.__annotations__ = {"context": typer.Context}
    return check


_add_commands()
