"""`vmm bench image`: where the traps of a user's own guest come from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vmm.bench.flame import frames, svg
from vmm.bench.image_profile import Profile, profile
from vmm.bench.symbols import guest_names, names_in_file
from vmm.cli.declare import Command, option
from vmm.cli.options import RunOptions
from vmm.cli.outcome import EXIT_CODES
from vmm.cli.report import run_report, to_json
from vmm.cli.session import Session, summary
from vmm.cli.streams import STDOUT, check_target, tell, write_text
from vmm.config.quantity import parse_count
from vmm.errors import one_line


@dataclass(frozen=True, kw_only=True)
class BenchImageOptions(RunOptions):
    """Those of a run, and what is done with its traps."""

    sbe: str = option(
        "full",
        "full|adaptive|off",
        "Scan before execution: every sensitive instruction traps, so that all are counted where they are "
        "(default), only those that must, nothing is rewritten.",
    )
    symbols: Path | None = option(
        None, "FILE", "System.map of the kernel; without it, its ELF symbols or its kallsyms in memory.", Path
    )
    flame: Path | None = option(None, "FILE.svg", "Draw the modelled cost as a flame graph.", Path)
    top: int = option(20, "N", "Functions and sites in the table (default 20).", parse_count)


def bench_image(options: BenchImageOptions) -> int:
    """Run IMAGE to a sign and tell where its traps come from: by class, by guest function and by site.

    Names of functions are those of --symbols, of the image, or of the kallsyms tables that a Linux kernel
    keeps in its memory. Cycles are modelled, a figure per class, and so equal on every machine. COM1's output
    goes nowhere unless --serial says where.

    Examples:

    \b
      vmm bench image vmlinuz --initrd initrd.gz --append console=ttyS0 --until 'login:'
      vmm bench image kernel.elf --timeout 10 --json traps.json --flame traps.svg
      vmm bench image vmlinuz --symbols System.map --until 'Linux version' --sbe adaptive
    """
    check_target(options.flame)
    names = names_in_file(options.symbols)
    session = Session(replace(options, serial=options.serial or Path(os.devnull)))
    try:
        result = session.run()
        machine = session.machine
        found = profile(machine.stats.traps, machine.sites, guest_names(machine, names))
        if options.json is not None:
            run = run_report(machine, result, options, session.code)
            write_text(options.json, to_json({**run, "profile": _report(found)}))
        if options.json != STDOUT:
            write_text(STDOUT, "".join(f"{line}\n" for line in _table(found, options.top)))
        if options.flame is not None:
            title = f"{options.image.name}: {found.cycles:,} modelled cycles in {found.traps:,} traps"
            write_text(options.flame, svg(frames(found, options.image.name), title))
        tell(summary(machine, result))
    finally:
        session.close()
    return session.code


def _report(found: Profile) -> dict[str, Any]:
    sites = [{**asdict(site), "code": site.code.hex()} for site in found.sites]
    return {
        "traps": found.traps,
        "cycles": found.cycles,
        "names": found.names,
        "slide": found.slide,
        "classes": [asdict(one) for one in found.classes],
        "functions": [asdict(one) for one in found.functions],
        "sites": sites,
    }


def _table(found: Profile, top: int) -> Iterator[str]:
    yield from _columns(
        ("class", "sites", "traps", "at sites", "cycles", "share"),
        [
            (one.name, one.sites, one.traps, one.at_sites, one.cycles, _share(one.cycles, found.cycles))
            for one in found.classes
        ],
    )
    yield ""
    yield from _columns(
        ("function", "sites", "traps", "cycles", "share"),
        [
            (one.name, one.sites, one.traps, one.cycles, _share(one.cycles, found.cycles))
            for one in found.functions[:top]
        ],
    )
    yield ""
    yield from _columns(
        ("site", "class", "instruction", "policy", "traps", "cycles", "share"),
        [
            (one.place, one.class_name, one.instruction, one.policy, one.traps, one.cycles, share)
            for one in found.sites[:top]
            for share in (_share(one.cycles, found.cycles),)
        ],
    )
    yield ""
    yield f"names: {found.names}" + (f", kernel moved by {found.slide:#x}" if found.slide else "")
    hidden = max(0, len(found.functions) - top), max(0, len(found.sites) - top)
    if any(hidden):
        yield f"not shown: {hidden[0]} functions and {hidden[1]} sites; --top shows more, --json all"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _columns(header: Sequence[str], rows: Sequence[Sequence[str | int]]) -> Iterator[str]:
    """Lines of a table: numbers to the right, text to the left."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    right = [
        any(isinstance(row[at], int) for row in rows) or name == "share" for at, name in enumerate(header)
    ]
    for line in (header, *cells):
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        yield "  ".join(padded).rstrip()


COMMAND = Command(BenchImageOptions, bench_image, EXIT_CODES)
