"""`vmm sbe`: the sensitive instructions a static walk finds in an image, and how many execution met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from vmm.cli.options import RunOptions
from vmm.cli.report import run_report, to_json
from vmm.cli.session import Session, summary
from vmm.cli.streams import STDOUT, check_target, tell, write_text
from vmm.errors import UsageError
from vmm.loader import acpi, load
from vmm.machine.options import check_options
from vmm.monitor import library
from vmm.sbe.insn_table import InsnTable
from vmm.sbe.static_walk import Recall, Region, StaticSite, Walk, compare, walk

_ALWAYS = frozenset({"image", "json", "run", "memory"})
_SHOWN_MISSES = 20


@dataclass(frozen=True, kw_only=True)
class SbeOptions(RunOptions):
    """`--run` and the options it makes sense of."""

    run: Annotated[
        bool,
        typer.Option("--run", help="Run the image too, as vmm run would, and compare.", show_default=False),
    ] = False


def sbe(options: SbeOptions) -> int:
    """List the privileged and sensitive instructions of IMAGE that a static walk from its entry points finds.

    With --run the image is booted with the same options as vmm run takes, and the walk is compared with the
    sites that execution found in the image: how many of them the walk knew, and which it missed. Code from
    elsewhere (user space, modules, what the guest wrote) is only counted.

    Examples:

    \b
      vmm sbe kernel.elf
      vmm sbe vmlinuz --json sites.json
      vmm sbe kernel.elf --run --until 'hello' --sbe full
    """
    _check(options)
    regions, found = _walk(options)
    if not options.run:
        return _listed(options, found)
    return _compared(options, regions, found)


def _check(options: SbeOptions) -> None:
    check_target(options.json)
    if options.run:
        return
    plain = SbeOptions(image=options.image)
    for one in fields(options):
        if one.name not in _ALWAYS and getattr(options, one.name) != getattr(plain, one.name):
            raise UsageError(f"--{one.name.replace('_', '-')} is for runs; add --run")


def _walk(options: SbeOptions) -> tuple[list[Region], Walk]:
    # Here, not above: it brings elftools, which would make every other command start later.
    from vmm.cli.image_code import image_code  # noqa: PLC0415

    machine = check_options(options.image, **options.machine_arguments())
    plan = load(machine.image, machine.request(acpi.build(machine.cpus)))
    regions, entries = image_code(options.image, plan)
    return regions, walk(regions, entries, InsnTable(*library()))


def _listed(options: SbeOptions, found: Walk) -> int:
    if options.json is not None:
        write_text(options.json, to_json({"image": str(options.image), **_walk_report(found)}))
    else:
        write_text(STDOUT, "".join(f"{_site_line(site)}\n" for site in found.sites))
    tell(_walk_line(found))
    return 0


def _site_line(site: StaticSite) -> str:
    code = site.code.hex(" ")
    return f"{site.address:016x}  {site.bits}  {site.insn.class_name:<16}  {site.insn.mnemonic:<24}  {code}"


def _walk_line(found: Walk) -> str:
    return (
        f"vmm: {len(found.sites)} sites in {found.instructions} instructions; not followed: {found.indirect} "
        f"indirect and {found.far} far transfers, {found.outside} outside; {found.refused} undecodable"
    )


def _walk_report(found: Walk) -> dict[str, Any]:
    return {
        "instructions": found.instructions,
        "indirect": found.indirect,
        "far": found.far,
        "outside": found.outside,
        "refused": found.refused,
        "sites": [_site_report(site) for site in found.sites],
    }


def _site_report(site: StaticSite) -> dict[str, Any]:
    return {
        "address": site.address,
        "bits": site.bits,
        "class": site.insn.class_name,
        "instruction": site.insn.mnemonic,
        "bytes": site.code.hex(),
    }


def _compared(options: SbeOptions, regions: list[Region], found: Walk) -> int:
    session = Session(options)
    try:
        result = session.run()
        tell(summary(session.machine, result))
        executed = [(site.pc, site.code) for site in session.machine.sites]
        inside = [(pc, code) for pc, code in executed if any(r.address <= pc < r.end for r in regions)]
        recall = compare(found.sites, inside)
        for line in _recall_lines(found, recall, len(executed) - len(inside)):
            tell(line)
        if options.json is not None:
            report = {
                **run_report(session.machine, result, options, session.code),
                "walk": _walk_report(found),
                "recall": _recall_report(recall, len(executed) - len(inside)),
            }
            write_text(options.json, to_json(report))
    finally:
        session.close()
    return session.code


def _recall_lines(found: Walk, recall: Recall, elsewhere: int) -> Sequence[str]:
    lines = [
        _walk_line(found),
        f"vmm: execution met {recall.executed} sites in the image, the walk knew {recall.found} "
        f"({recall.ratio:.1%}); {elsewhere} more lie outside it",
    ]
    lines += [f"vmm: missed {address:#x} {code.hex(' ')}" for address, code in recall.missed[:_SHOWN_MISSES]]
    if len(recall.missed) > _SHOWN_MISSES:
        lines.append(f"vmm: and {len(recall.missed) - _SHOWN_MISSES} more; --json lists all")
    return lines


def _recall_report(recall: Recall, elsewhere: int) -> dict[str, Any]:
    return {
        "executed": recall.executed,
        "found": recall.found,
        "ratio": recall.ratio,
        "outside_image": elsewhere,
        "missed": [{"address": address, "bytes": code.hex()} for address, code in recall.missed],
    }
