"""`vmm sbe`: the sensitive instructions a static walk finds in an image, and how many execution met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vmm.bench.symbols import Names, names_in_file
from vmm.cli.declare import Command, flag, flag_of, option
from vmm.cli.options import RunOptions
from vmm.cli.report import run_report, to_json
from vmm.cli.sbe_report import Ran, Walked, check_report, explain, write_report
from vmm.cli.session import Session, summary
from vmm.cli.streams import STDOUT, check_target, tell, write_text
from vmm.errors import UsageError, one_line
from vmm.loader import acpi, load
from vmm.machine.options import check_options
from vmm.monitor import library
from vmm.sbe.insn_table import InsnTable
from vmm.sbe.static_walk import Recall, StaticSite, Walk, walk

_ALWAYS = frozenset({"image", "json", "run", "memory", "report", "symbols"})
_FOR_REPORTS = frozenset({"sbe", "policy"})
_SHOWN_MISSES = 20


@dataclass(frozen=True, kw_only=True)
class SbeOptions(RunOptions):
    """`--run` and the options it makes sense of."""

    run: bool = flag("Run the image too, as vmm run would, and compare.")
    report: Path | None = option(
        None,
        "FOLDER",
        "Explain each site there, as report.html, report.json and report.sarif (SARIF 2.1.0).",
        Path,
    )
    symbols: Path | None = option(
        None,
        "FILE",
        "System.map that names functions in the report; without it, ELF symbols or the kernel's kallsyms.",
        Path,
    )


def sbe(options: SbeOptions) -> int:
    """List the privileged and sensitive instructions of IMAGE that a static walk from its entry points finds.

    With --run the image is booted with the same options as vmm run takes, and the walk is compared with the
    sites that execution found in the image: how many of them the walk knew, and which it missed. Code from
    elsewhere (user space, modules, what the guest wrote) is only counted.

    With --report every site is explained: its surroundings, why the instruction is sensitive, what the
    profile makes of it and, with --run, how often it entered the monitor and what that cost.

    Examples:

    \b
      vmm sbe kernel.elf
      vmm sbe vmlinuz --json sites.json
      vmm sbe kernel.elf --run --until 'hello' --sbe full
      vmm sbe vmlinuz --report sites --run --initrd rd.gz --append console=ttyS0 --until 'login:'
    """
    _check(options)
    given = names_in_file(options.symbols)
    walked = _walk(options, given)
    return _compared(options, walked) if options.run else _listed(options, walked)


def _check(options: SbeOptions) -> None:
    check_target(options.json)
    check_report(options.report, options.sbe)
    if options.symbols is not None and not (options.report or options.run):
        raise UsageError("--symbols names functions in a report; add --report or --run")
    if options.run:
        return
    plain = SbeOptions(image=options.image)
    taken = _ALWAYS | _FOR_REPORTS if options.report else _ALWAYS
    for one in fields(options):
        if one.name not in taken and getattr(options, one.name) != getattr(plain, one.name):
            raise UsageError(f"{flag_of(one.name)} is for runs; add --run")


def _walk(options: SbeOptions, given: Names) -> Walked:
    # Here, not above: it brings elftools, which would make every other command start later.
    from vmm.cli.image_code import image_code  # noqa: PLC0415

    machine = check_options(options.image, **options.machine_arguments())
    plan = load(machine.image, machine.request(acpi.build(machine.cpus)))
    code = image_code(options.image, plan)
    table = InsnTable(*library())
    found = walk(code.regions, code.entries, table)
    names = code.names if given.table is None else given
    return Walked(plan.protocol, code.regions, code.loads, found, table, names)


def _listed(options: SbeOptions, walked: Walked) -> int:
    found = walked.found
    if options.report is not None:
        write_report(options.report, explain(options, walked, None))
    if options.json is not None:
        write_text(options.json, to_json({"image": str(options.image), **_walk_report(found)}))
    elif options.report is None:
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


def _compared(options: SbeOptions, walked: Walked) -> int:
    session = Session(options)
    try:
        result = session.run()
        tell(summary(session.machine, result))
        ran = Ran.compare(session.machine, result, walked)
        for line in _recall_lines(walked.found, ran):
            tell(line)
        if options.report is not None:
            write_report(options.report, explain(options, walked, ran))
        if options.json is not None:
            report = {
                **run_report(session.machine, result, options, session.code),
                "walk": _walk_report(walked.found),
                "recall": _recall_report(ran.recall, ran.outside),
            }
            write_text(options.json, to_json(report))
    finally:
        session.close()
    return session.code


def _recall_lines(found: Walk, ran: Ran) -> Sequence[str]:
    recall = ran.recall
    lines = [
        _walk_line(found),
        f"vmm: execution met {recall.executed} sites in the image, the walk knew {recall.found} "
        f"({recall.ratio:.1%}); {len(recall.rewritten)} the guest had written over, {ran.outside} more lie "
        "outside the image",
    ]
    lines += [
        f"vmm: missed {address:#x} {code.hex(' ')} {one_line(ran.place(address))}".rstrip()
        for address, code in recall.missed[:_SHOWN_MISSES]
    ]
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
        "rewritten": [{"address": address, "bytes": code.hex()} for address, code in recall.rewritten],
    }


COMMAND = Command(SbeOptions, sbe)
