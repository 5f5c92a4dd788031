"""Where a guest's traps come from: by class, by guest function and by site."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vmm.bench.class_cost import cycles
from vmm.bench.symbols import Names
from vmm.monitor import Site


@dataclass(frozen=True, slots=True)
class SiteCost:
    """One rewritten instruction; `traps` is how often it entered the monitor."""

    address: int
    bits: int
    cpl: int
    class_name: str
    instruction: str
    policy: str
    code: bytes
    function: str
    offset: int
    traps: int
    cycles: int

    @property
    def place(self) -> str:
        """`function+0x12`, or the address where that says more."""
        if self.function.startswith("["):
            return f"{self.function} {self.address:#x}"
        return f"{self.function}+{self.offset:#x}" if self.offset else self.function


@dataclass(frozen=True, slots=True)
class FunctionCost:
    """All sites of one guest function."""

    name: str
    sites: int
    traps: int
    cycles: int


@dataclass(frozen=True, slots=True)
class ClassCost:
    """All traps of one class: `traps` as the monitor counts them, of which `at_sites` are at sites; the
    rest came through native code that reached the monitor, or at sites that were forgotten."""

    name: str
    sites: int
    traps: int
    at_sites: int
    cycles: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Each list has the dearest first."""

    classes: tuple[ClassCost, ...]
    functions: tuple[FunctionCost, ...]
    sites: tuple[SiteCost, ...]
    names: str
    slide: int

    @property
    def traps(self) -> int:
        """Of all classes."""
        return sum(one.traps for one in self.classes)

    @property
    def cycles(self) -> int:
        """Of all classes."""
        return sum(one.cycles for one in self.classes)


def profile(traps: Mapping[str, int], sites: Sequence[Site], names: Names) -> Profile:
    """The account of `traps`, counted by class, and of the sites."""
    costs = [_site_cost(site, names) for site in sites]
    return Profile(
        classes=tuple(_classes(traps, costs)),
        functions=tuple(_functions(costs)),
        sites=tuple(sorted(costs, key=lambda one: (-one.cycles, one.address, one.cpl))),
        names=names.source,
        slide=names.slide,
    )


def _site_cost(site: Site, names: Names) -> SiteCost:
    function, offset = names.of_site(site)
    return SiteCost(
        address=site.pc,
        bits=site.bits,
        cpl=site.cpl,
        class_name=site.class_name,
        instruction=site.mnemonic,
        policy=site.policy.name.lower(),
        code=site.code,
        function=function,
        offset=offset,
        traps=site.hits,
        cycles=cycles(site.class_name, site.hits),
    )


def _classes(traps: Mapping[str, int], costs: Sequence[SiteCost]) -> list[ClassCost]:
    at_sites: dict[str, list[int]] = defaultdict(list)
    for one in costs:
        at_sites[one.class_name].append(one.traps)
    found = [
        ClassCost(name, len(at_sites[name]), count, sum(at_sites[name]), cycles(name, count))
        for name in sorted({*traps, *at_sites})
        for count in (traps.get(name, 0),)
    ]
    return sorted(found, key=lambda one: (-one.cycles, one.name))


def _functions(costs: Sequence[SiteCost]) -> list[FunctionCost]:
    by_name: dict[str, list[SiteCost]] = defaultdict(list)
    for one in costs:
        by_name[one.function].append(one)
    found = [
        FunctionCost(name, len(group), sum(one.traps for one in group), sum(one.cycles for one in group))
        for name, group in by_name.items()
    ]
    return sorted(found, key=lambda one: (-one.cycles, one.name))
