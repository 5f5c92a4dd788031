"""From a static walk, and a machine that ran the image if there is one, to a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vmm.bench.class_cost import cycles
from vmm.bench.symbols import USER, Names
from vmm.explain.listing import REACH, Listing, alone, around
from vmm.explain.model import Origin, ReportClass, ReportSite
from vmm.machine.disassembly import disassemble
from vmm.monitor import Site
from vmm.sbe.insn_table import Insn, InsnTable
from vmm.sbe.static_walk import MAX_INSN, Recall, Region, StaticSite, Walk

Reader = Callable[[int, int], bytes]
"""(linear address, length) -> guest memory, fewer bytes where it ends."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """The profile of the run, or the one asked about, and what the user chose instead for rows by name."""

    profile: str = "adaptive"
    chosen: Mapping[str, str] = field(default_factory=dict)

    def policy(self, insn: Insn, bits: int) -> str:
        """What becomes of an instruction of kernel code."""
        if str(bits) not in insn.trap_modes:
            return "native"
        return self.chosen.get(insn.id) or (insn.full if self.profile == "full" else insn.adaptive)


class Collector:
    """Makes the sites of a report: first those of the walk, then those only execution met."""

    def __init__(
        self, regions: Sequence[Region], found: Walk, table: InsnTable, names: Names, treatment: Treatment
    ) -> None:
        self._regions = sorted(regions, key=lambda region: region.address)
        self._walk = found
        self._table = table
        self._names = names
        self._treatment = treatment

    def walked(self, executed: Mapping[tuple[int, bytes], Sequence[Site]]) -> Iterator[ReportSite]:
        """The walk's sites, with what execution made of them; one that ran at two privilege levels or in two
        widths is listed for each."""
        for site in self._walk.sites:
            ran = executed.get((site.address, site.code), ())
            for one in ran:
                yield self._ran(one, site.address, site.insn, Origin.BOTH, self._in_image(site.address, one))
            if not ran:
                yield self._only_walked(site)

    def executed_only(
        self, sites: Iterable[tuple[int, Site]], recall: Recall, read: Reader
    ) -> Iterator[ReportSite]:
        """What the walk had not found of sites with their addresses, by what `recall` calls it."""
        origins = dict.fromkeys(recall.missed, Origin.MISSED) | dict.fromkeys(
            recall.rewritten, Origin.REWRITTEN
        )
        known = {(site.address, site.code) for site in self._walk.sites}
        for address, site in sites:
            if (address, site.code) in known:
                continue
            origin = origins.get((address, site.code), Origin.OUTSIDE)
            missed = origin is Origin.MISSED
            listing = self._in_image(address, site) if missed else _in_memory(site, read)
            insn = self._row(site)
            if insn is not None:
                yield self._ran(site, site.pc if origin is Origin.OUTSIDE else address, insn, origin, listing)

    def _row(self, site: Site) -> Insn | None:
        known = self._table.identify(site.bits, site.code)
        return known[0] if known else next((r for r in self._table.rows if r.mnemonic == site.mnemonic), None)

    def _only_walked(self, site: StaticSite) -> ReportSite:
        function, offset = self._names.function(site.address + self._names.slide) or ("", 0)
        return ReportSite(
            address=site.address,
            bits=site.bits,
            cpl=None,
            code=site.code,
            insn=site.insn,
            origin=Origin.WALK,
            function=function,
            offset=offset,
            policy=self._treatment.policy(site.insn, site.bits),
            replacement=None,
            replacement_text="",
            traps=None,
            cycles=None,
            listing=self._listing(site.address, len(site.code), site.bits),
        )

    def _ran(self, site: Site, address: int, insn: Insn, origin: Origin, listing: Listing) -> ReportSite:
        linked = site.pc if origin is Origin.OUTSIDE else address + self._names.slide
        function, offset = self._names.function(linked) or ("", 0)
        text = disassemble(site.replacement, address, site.bits, 1)
        return ReportSite(
            address=address,
            bits=site.bits,
            cpl=site.cpl,
            code=site.code,
            insn=insn,
            origin=origin,
            function=USER if site.cpl == 3 and not function else function,
            offset=offset,
            policy=site.policy.name.lower(),
            replacement=site.replacement,
            replacement_text=text[0].text if text else "",
            traps=site.hits,
            cycles=cycles(site.class_name, site.hits),
            listing=listing,
        )

    def _in_image(self, address: int, site: Site) -> Listing:
        return self._listing(address, len(site.code), site.bits)

    def _listing(self, address: int, size: int, bits: int) -> Listing:
        """From the image's own bytes; the caller has seen that the address is in it."""
        region = next(one for one in self._regions if one.address <= address < one.end)
        low = max(0, address - region.address - REACH)
        data = region.data[low : address - region.address + size + REACH]
        starts = self._walk.starts.get((region.address, bits))
        marks = bytes(starts[low : low + len(data)]) if starts is not None else None
        return around(data, region.address + low, address, size, bits, marks)


def _in_memory(site: Site, read: Reader) -> Listing:
    """From guest memory as it is now, which may no longer hold the code, or not be mapped any more."""
    for reach in (REACH, 0):
        start = max(0, site.pc - reach)
        data = read(start, site.pc - start + len(site.code) + 4 * MAX_INSN)
        if data[site.pc - start :].startswith(site.code):
            return around(data, start, site.pc, len(site.code), site.bits)
    return alone(site.code, site.pc, site.bits)


def by_place(sites: Iterable[tuple[int, Site]]) -> dict[tuple[int, bytes], list[Site]]:
    """Executed sites by address in the image and bytes."""
    found: dict[tuple[int, bytes], list[Site]] = defaultdict(list)
    for address, site in sites:
        found[address, site.code].append(site)
    return found


def ranked(sites: Iterable[ReportSite]) -> tuple[ReportSite, ...]:
    """The dearest first, then by address."""
    return tuple(sorted(sites, key=lambda one: (-(one.cycles or 0), one.address, one.bits, one.cpl or 0)))


def classes(
    sites: Iterable[ReportSite], counted: Mapping[str, int] | None, table: InsnTable
) -> tuple[ReportClass, ...]:
    """The account by class; `counted` is what the monitor did, None without a run."""
    groups: dict[str, list[ReportSite]] = defaultdict(list)
    for site in sites:
        groups[site.insn.class_name].append(site)
    found = [_class(name, groups[name], counted, table) for name in sorted({*groups, *(counted or ())})]
    return tuple(sorted(found, key=lambda one: (-(one.cycles or 0), -one.sites, one.name)))


def _class(
    name: str, group: Sequence[ReportSite], counted: Mapping[str, int] | None, table: InsnTable
) -> ReportClass:
    traps = None if counted is None else counted.get(name, 0)
    return ReportClass(
        name=name,
        text=table.classes.get(name, ""),
        sites=len({(site.address, site.bits, site.code) for site in group}),
        traps=traps,
        at_sites=None if counted is None else sum(site.traps or 0 for site in group),
        cycles=None if traps is None else cycles(name, traps),
    )
