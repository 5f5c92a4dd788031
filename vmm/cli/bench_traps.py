"""`vmm bench traps`: what every class of trap costs, by every technique."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vmm.cli.declare import Command, flag, option, repeated
from vmm.cli.report import to_json
from vmm.cli.streams import STDOUT, byte_sink, check_target, tell, write_text
from vmm.errors import UsageError

if TYPE_CHECKING:
    from vmm.bench.traps import Choice, Row


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"'{text}' is no number from 1 on")
    return int(text)


def _rival(text: str) -> str:
    if text != "qemu":
        raise UsageError(f"cannot compare with '{text}'; only with qemu")
    return text


@dataclass(frozen=True, kw_only=True)
class BenchTrapsOptions:
    """What is measured and where it goes."""

    class_: list[str] = repeated("NAME", "Only this class, instruction or kernel; may be given again.")
    technique: list[str] = repeated("NAME", "Only trap, inline, native or paravirtual; may be given again.")
    exact: bool = flag("Count only: no time is measured.")
    exact_runs: int = option(1, "N", "Count everything N times, and fail if two counts differ.", _number)
    rounds: int = option(5, "N", "Rounds in which time is measured, 5 without it.", _number)
    against: str | None = option(None, "qemu", "Time the same images under QEMU's TCG too.", _rival)
    list_: bool = flag("Show the kernels and measure nothing.")
    images: Path | None = option(None, "FOLDER", "Write the kernels there as images that boot.", Path)
    json: Path | None = option(None, "FILE", "Write every figure there, - for stdout.", Path)
    plot: Path | None = option(None, "FILE", "Draw the times there: .html, .svg or .png.", Path)


def bench_traps(options: BenchTrapsOptions) -> int:
    """Measure what traps cost: a tiny kernel for each class of privileged or sensitive instruction, for
    exceptions, interrupts and accesses to devices, in which the instructions trap, run inline, run native, or
    give way to calls of the paravirtual page.

    Exact figures (instructions, monitor entries, site hits, interrupts, VM time, modelled cycles) are equal
    in every run on every machine. Times are this host's: medians of interleaved rounds, less the empty loop.

    Examples:

    \b
      vmm bench traps
      vmm bench traps --class MSR --class CR --against qemu --plot traps.html
      vmm bench traps --class nanobenchmark --against qemu
      vmm bench traps --exact --json baseline.json
    """
    from vmm.bench import plot, traps  # noqa: PLC0415 (brings the assembler)

    if options.plot is not None:
        plot.check_format(options.plot)
    check_target(options.plot)
    check_target(options.json)
    choice = _choice(options)
    if options.list_:
        write_text(STDOUT, "".join(_list_lines(choice)))
        return 0
    if options.images is not None:
        _write_images(choice, options.images)
        return 0
    rows: list[Row] = []
    for row in traps.measure(choice):
        if not rows or rows[-1].kernel is not row.kernel:
            tell(f"vmm: {row.kernel.name}")
        rows.append(row)
    _show(options, rows)
    return 0


def _choice(options: BenchTrapsOptions) -> Choice:
    from vmm.bench import qemu, traps  # noqa: PLC0415
    from vmm.bench.techniques import Technique  # noqa: PLC0415

    for name in options.technique:
        if name not in list(Technique):
            raise UsageError(f"no technique '{name}'; there are {', '.join(Technique)}")
    if options.exact and options.against:
        raise UsageError("--exact measures no time, so there is nothing to compare with --against")
    return traps.Choice(
        kernels=traps.select(options.class_),
        techniques=tuple(Technique(name) for name in options.technique) or tuple(Technique),
        exact_runs=options.exact_runs,
        rounds=0 if options.exact else options.rounds,
        qemu_program=qemu.find() if options.against else None,
    )


def _list_lines(choice: Choice) -> Iterator[str]:
    from vmm.bench.traps import classes  # noqa: PLC0415

    width = max(len(kernel.name) for kernel in choice.kernels)
    for kernel in choice.kernels:
        yield f"{kernel.name:<{width}}  {'+'.join(classes(kernel)):<20}  {kernel.text}\n"


def _write_images(choice: Choice, folder: Path) -> None:
    from vmm.bench.exact import EVENTS  # noqa: PLC0415
    from vmm.bench.skeleton import build  # noqa: PLC0415

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    for kernel in choice.kernels:
        with byte_sink(folder / f"{kernel.name}.elf") as write:
            write(build(kernel, EVENTS))
        if kernel.paravirtual:
            with byte_sink(folder / f"{kernel.name}-paravirtual.elf") as write:
                write(build(kernel, EVENTS, paravirtual=True))


def _show(options: BenchTrapsOptions, rows: list[Row]) -> None:
    from vmm.bench import plot, text, traps  # noqa: PLC0415

    if options.json is not None:
        write_text(options.json, to_json(traps.report(rows)))
    if options.plot is not None:
        with byte_sink(options.plot) as write:
            write(plot.render(rows, options.plot))
    if options.json != STDOUT:
        saved = text.savings(rows)
        write_text(STDOUT, text.table(rows) + text.missing(rows))
        if saved:
            write_text(STDOUT, f"\n{text.SAVINGS}\n{saved}")


COMMAND = Command(BenchTrapsOptions, bench_traps)
