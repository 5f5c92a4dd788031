"""Options of `vmm run`, which `vmm sbe --run` takes too: written once, as the fields of a data class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from vmm.config.quantity import check_seconds, parse_port
from vmm.loader import Module

O = TypeVar("O")  # noqa: E741


def _option(*names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, show_default=False)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """As typed; `machine_arguments` makes of it what `Machine` takes."""

    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="Kernel or ROM; its format is found out.")]
    append: Annotated[str, _option("--append", metavar="TEXT", help="Kernel command line.")] = ""
    initrd: Annotated[
        Path | None, _option("--initrd", metavar="FILE", help="Initial RAM disk, or first module.")
    ] = None
    module: Annotated[
        list[str],
        _option(
            "--module", metavar="FILE[=ARGS]", help="Module beside a Multiboot or PVH kernel; repeatable."
        ),
    ] = field(default_factory=list)
    memory: Annotated[
        str, _option("--memory", metavar="SIZE", help="Guest RAM, such as 64M or 2G (default 512M).")
    ] = "512M"
    cpus: Annotated[int, _option("--cpus", metavar="N", help="Processors, 1 to 64 (default 1).")] = 1
    cpu: Annotated[
        str | None, _option("--cpu", metavar="MODEL", help="CPU model; vmm models lists them.")
    ] = None
    time: Annotated[
        str | None,
        _option(
            "--time",
            metavar="virtual|real",
            help="Clock: virtual is the guest's own and repeatable (default), real the host's "
            "(default with --console).",
        ),
    ] = None
    until: Annotated[
        str | None,
        _option("--until", metavar="REGEX", help="End when serial, screen or debug console shows this."),
    ] = None
    timeout: Annotated[
        float | None,
        _option(
            "--timeout", metavar="SECONDS", help="Guest seconds in virtual time, wall seconds in real time."
        ),
    ] = None
    sbe: Annotated[
        str,
        _option(
            "--sbe",
            metavar="full|adaptive|off",
            help="Scan before execution: every sensitive instruction traps, only those that must (default), "
            "nothing is rewritten.",
        ),
    ] = "adaptive"
    serial: Annotated[
        Path | None, _option("--serial", metavar="FILE", help="COM1's output, - for stdout (default).")
    ] = None
    screen: Annotated[
        Path | None, _option("--screen", metavar="FILE.txt|FILE.png", help="Save the screen at the end.")
    ] = None
    keys: Annotated[
        str,
        _option(
            "--keys",
            metavar="TEXT",
            help="Type from one guest second on: text with \\n \\t \\b \\e, keys {f1} {ctrl+alt+del}, "
            "pauses {wait 2.5}, {{ for a brace.",
        ),
    ] = ""
    debug_exit: Annotated[
        str | None, _option("--debug-exit", metavar="PORT", help="A write to this port ends the run.")
    ] = None
    trace: Annotated[
        str,
        _option(
            "--trace",
            metavar="WHAT",
            help="Print events to stderr: traps, exceptions, interrupts, ports, mmio, unclaimed, msr, "
            "syscalls, ipi, all; joined by commas.",
        ),
    ] = ""
    json: Annotated[
        Path | None, _option("--json", metavar="FILE", help="Write the result there, - for stdout.")
    ] = None
    console: Annotated[bool, _option("--console", help="Join this terminal to COM1; Ctrl-] leaves.")] = False
    protocol: Annotated[
        str | None,
        _option("--protocol", metavar="NAME", help="Insist on a boot protocol, such as pvh or linux32."),
    ] = None
    msr: Annotated[
        str, _option("--msr", metavar="fault|zero", help="What unknown MSRs do (default fault).")
    ] = "fault"

    def machine_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `Machine`; UsageError for what cannot be."""
        if self.timeout is not None:
            check_seconds(self.timeout, "--timeout")
        return {
            "memory": self.memory,
            "cpus": self.cpus,
            "append": self.append,
            "initrd": self.initrd,
            "modules": [_module(text) for text in self.module],
            "cpu": self.cpu,
            "time": self.time or ("real" if self.console else "virtual"),
            "sbe": self.sbe,
            "debug_exit": None if self.debug_exit is None else parse_port(self.debug_exit),
            "msr": self.msr,
            "trace": self.trace,
            "protocol": self.protocol,
        }


def _module(text: str) -> Module:
    """`FILE[=ARGS]`; a file whose own name holds `=` is taken as it is."""
    path, _, args = text.partition("=")
    return Module(Path(text)) if Path(text).is_file() else Module(Path(path), args)


def takes(options: type[O]) -> Callable[[Callable[[O], int]], Callable[..., int]]:
    """Decorator for a command that takes the fields of the data class `options` as its parameters."""
    hints = get_type_hints(options, include_extras=True)
    parameters = [
        inspect.Parameter(
            one.name, inspect.Parameter.KEYWORD_ONLY, annotation=hints[one.name], default=_default(one)
        )
        for one in fields(options)  # type: ignore[arg-type]
    ]

    def decorate(command: Callable[[O], int]) -> Callable[..., int]:
        def typed(**values: Any) -> int:
            return command(options(**values))

        typed.__name__, typed.__doc__ = command.__name__, command.__doc__
        typed.__annotations__ = hints
        typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return typed

    return decorate


def _default(one: Any) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return inspect.Parameter.empty if one.default is MISSING else one.default
