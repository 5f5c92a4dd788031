"""What `vmm sbe` learned, put together for a report, and the files of the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vmm.bench.class_cost import cycles
from vmm.bench.symbols import Names, guest_names
from vmm.cli.options import RunOptions
from vmm.cli.report import file_sha256, to_json
from vmm.cli.streams import tell, write_text
from vmm.config.version import VERSION
from vmm.errors import HostError, UsageError, one_line
from vmm.machine import Machine, RunResult
from vmm.monitor import Site, engine_version
from vmm.sbe.insn_table import InsnTable
from vmm.sbe.static_walk import Recall, Region, Walk, compare

if TYPE_CHECKING:
    from vmm.explain.model import Report, ReportSite, Run

FILES = ("report.html", "report.json", "report.sarif")


@dataclass(frozen=True, slots=True)
class Walked:
    """An image and what the static walk found in it; `names` are those known without a run, `loads` says what
    runs where it is loaded too: (there, where it is linked, length)."""

    protocol: str
    regions: Sequence[Region]
    loads: Sequence[tuple[int, int, int]]
    found: Walk
    table: InsnTable
    names: Names

    def place(self, site: Site, slide: int) -> int:
        """Where the image has what ran as `site`; its own address if that is nowhere."""
        moved = site.pc - slide
        if self._holds(moved):
            return moved
        linked = (site.pc - at + to for at, to, length in self.loads if at <= site.pc < at + length)
        return next((address for address in linked if self._has(address, site.code)), moved)

    def _holds(self, address: int) -> bool:
        return any(region.address <= address < region.end for region in self.regions)

    def _has(self, address: int, code: bytes) -> bool:
        return any(
            region.data.startswith(code, address - region.address)
            for region in self.regions
            if region.address <= address < region.end
        )


@dataclass(frozen=True, slots=True)
class Ran:
    """A machine that has run, and how its sites compare with the walk; `outside` are not in the image.
    `sites` come with the address the image has them at."""

    machine: Machine
    result: RunResult
    names: Names
    sites: Sequence[tuple[int, Site]]
    recall: Recall
    outside: int

    @classmethod
    def compare(cls, machine: Machine, result: RunResult, walked: Walked) -> Ran:
        """The sites of `machine`, at the addresses the image gives them."""
        names = guest_names(machine, walked.names)
        sites = [(walked.place(site, names.slide), site) for site in machine.sites]
        inside = [
            (at, site.code) for at, site in sites if any(r.address <= at < r.end for r in walked.regions)
        ]
        recall = compare(walked.found.sites, inside, walked.regions)
        return cls(machine, result, names, sites, recall, len(sites) - len(inside))

    def place(self, address: int) -> str:
        """`function+0x12` for an address in the image, or nothing."""
        found = self.names.function(address + self.names.slide)
        return "" if found is None else f"{found[0]}+{found[1]:#x}" if found[1] else found[0]


def check_report(folder: Path | None, profile: str) -> None:
    """UsageError for a folder that cannot be made, and for a profile that leaves nothing to explain."""
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise UsageError(one_line(f"--report {folder}: is a file; give a folder"))
    if not folder.absolute().parent.is_dir():
        raise UsageError(one_line(f"--report {folder}: {folder.absolute().parent} does not exist"))
    if profile == "off":
        raise UsageError("--report explains what is rewritten, and --sbe off rewrites nothing: leave one out")


def explain(options: RunOptions, walked: Walked, ran: Ran | None) -> Report:
    """The report on an image, and on its run if it ran."""
    from vmm.explain import collect  # noqa: PLC0415 (few runs want it)
    from vmm.explain.model import Report  # noqa: PLC0415

    names = walked.names if ran is None else ran.names
    treatment = collect.Treatment(options.sbe, _chosen(options.policy))
    collector = collect.Collector(walked.regions, walked.found, walked.table, names, treatment)
    sites: list[ReportSite] = []
    if ran is None:
        sites += collector.walked({})
    else:
        sites += collector.walked(collect.by_place(ran.sites))
        sites += collector.executed_only(ran.sites, ran.recall, ran.machine.memory.read_linear)
    traps = None if ran is None else ran.machine.stats.traps
    walk = walked.found
    return Report(
        image=str(options.image),
        image_sha256=file_sha256(options.image),
        protocol=walked.protocol,
        profile=options.sbe,
        vmm=VERSION,
        engine=engine_version(),
        names=names.source,
        slide=names.slide,
        walk={
            name: getattr(walk, name) for name in ("instructions", "indirect", "far", "outside", "refused")
        },
        run=None if ran is None else _run(ran),
        classes=collect.classes(sites, traps, walked.table),
        sites=collect.ranked(sites),
        regions=tuple((region.address, len(region.data)) for region in walked.regions),
    )


def _chosen(policies: Sequence[str]) -> dict[str, str]:
    """`--policy` words, which have been checked, by row."""
    pairs = (text.partition("=") for text in policies)
    return {name.upper(): policy for name, _, policy in pairs}


def _run(ran: Ran) -> Run:
    from vmm.explain.model import Run  # noqa: PLC0415 (few runs want it)

    traps, recall = ran.machine.stats.traps, ran.recall
    said = f" {ran.result.match!r}" if ran.result.match else ""
    return Run(
        outcome=f"{ran.result.outcome}{said}",
        instructions=ran.result.instructions,
        guest_seconds=ran.result.guest_seconds,
        traps=sum(traps.values()),
        cycles=sum(cycles(name, count) for name, count in traps.items()),
        executed=recall.executed,
        known=recall.found,
        missed=len(recall.missed),
        rewritten=len(recall.rewritten),
        outside=ran.outside,
    )


def write_report(folder: Path, report: Report) -> None:
    """The three files; HostError if they cannot be written."""
    from vmm.explain.as_json import plain  # noqa: PLC0415 (few runs want them)
    from vmm.explain.html import page  # noqa: PLC0415
    from vmm.explain.sarif import sarif  # noqa: PLC0415

    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise HostError(one_line(f"{folder}: cannot make the folder: {error.strerror}")) from None
    texts = (page(report), to_json(plain(report)), json.dumps(sarif(report), indent=1) + "\n")
    for name, text in zip(FILES, texts, strict=True):
        write_text(folder / name, text)
    tell(f"vmm: {len(report.sites)} sites explained in {folder / FILES[0]}, {FILES[1]} and {FILES[2]}")
