"""The static walk: sensitive instructions that an image's entry points reach, found without running it.

Recursive descent: follow direct jumps, calls and fall-through, and where code loads the address of code as a
constant, begin there too; decode nothing else. What only an indirect jump reaches is missed unless the caller
names it as an entry (symbols, code pointers); `compare` says how much that was, against the sites that an
execution found.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import capstone

from vmm.sbe.flow import Target, address_taken, flow_of
from vmm.sbe.insn_table import Insn, InsnTable

MAX_INSN = 15
# Capstone's binding decodes all it is given before it yields anything, so it gets about a basic block.
_SLICE_INSNS = 8
_SLICE = _SLICE_INSNS * MAX_INSN
_CAPSTONE_MODES = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}


@dataclass(frozen=True, slots=True)
class Region:
    """Code bytes at a linear address."""

    address: int
    data: bytes

    @property
    def end(self) -> int:
        return self.address + len(self.data)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """An address that is executed in `bits`-wide code (16, 32 or 64)."""

    address: int
    bits: int


@dataclass(frozen=True, slots=True)
class StaticSite:
    """One sensitive instruction: its address, the width of code it was reached in, its bytes and its row."""

    address: int
    bits: int
    code: bytes
    insn: Insn


@dataclass(slots=True)
class Walk:
    """What a walk found.

    `indirect` and `far` count transfers that could not be followed, `outside` targets in no region, `refused`
    places where Capstone could not go on. `starts` has a byte for each byte of a region, by the region's
    address and the width of code: 1 where an instruction begins.
    """

    sites: list[StaticSite] = field(default_factory=list)
    instructions: int = 0
    indirect: int = 0
    far: int = 0
    outside: int = 0
    refused: int = 0
    starts: dict[tuple[int, int], bytearray] = field(default_factory=dict)


def walk(regions: Iterable[Region], entries: Iterable[Entry], table: InsnTable) -> Walk:
    """Walk `regions` from `entries`; sites come sorted by address. Regions must not overlap (ValueError)."""
    walker = _Walker(regions, table)
    pending = sorted(entries, reverse=True)
    while pending:
        pending.extend(walker.straight_line(pending.pop()))
    walker.found.sites.sort(key=lambda site: (site.address, site.bits))
    return walker.found


class _Walker:
    """The state of one walk: which addresses were decoded in which width, and what was found."""

    def __init__(self, regions: Iterable[Region], table: InsnTable) -> None:
        self._regions = sorted(regions, key=lambda region: region.address)
        for low, high in zip(self._regions, self._regions[1:], strict=False):
            if low.end > high.address:
                raise ValueError(f"regions at {low.address:#x} and {high.address:#x} overlap")
        self._starts = [region.address for region in self._regions]
        self._table = table
        self._decoders = {
            bits: capstone.Cs(capstone.CS_ARCH_X86, mode) for bits, mode in _CAPSTONE_MODES.items()
        }
        self.found = Walk()
        self._seen = self.found.starts

    def straight_line(self, entry: Entry) -> list[Entry]:
        """Decode from `entry` to where control does not fall through; the targets on the way are returned."""
        targets: list[Entry] = []
        at: int | None = entry.address
        while at is not None:
            at = self._slice(at, entry.bits, targets)
        return targets

    def _slice(self, start: int, bits: int, targets: list[Entry]) -> int | None:
        """Decode one slice; the address to go on at, or None at the end of the line."""
        region = self._region_of(start)
        if region is None:
            self.found.outside += 1
            return None
        offset = start - region.address
        code = region.data[offset : offset + _SLICE]
        seen = self._seen_in(region, bits)
        if seen[offset]:
            return None
        at, decoded = start, 0
        for address, size, mnemonic, operands in self._decoders[bits].disasm_lite(code, start, _SLICE_INSNS):
            if seen[address - region.address]:
                return None
            seen[address - region.address] = 1
            at, decoded = address + size, decoded + 1
            self._note(address, bits, code[address - start : at - start])
            taken = address_taken(mnemonic, operands)
            if taken is not None and self._region_of(taken):
                targets.append(Entry(taken, bits))
            flow = flow_of(mnemonic, operands)
            if flow.target is not Target.NONE:
                self._transfer(flow.target, Entry(flow.address, bits), targets)
            if not flow.falls_through:
                return None
        return self._behind_slice(region, at, bits, decoded)

    def _behind_slice(self, region: Region, at: int, bits: int, decoded: int) -> int | None:
        """Capstone stopped: the slice is used up, the region ends, or it refuses what a processor may run."""
        if decoded == _SLICE_INSNS or at == region.end:
            return at if self._region_of(at) else None
        offset = at - region.address
        code = region.data[offset : offset + MAX_INSN]
        known = self._table.identify(bits, code)
        if known is None:
            self.found.refused += 1
            return None
        self._note(at, bits, code[: known[1]])
        return at + known[1]

    def _note(self, address: int, bits: int, code: bytes) -> None:
        self.found.instructions += 1
        known = self._table.identify(bits, code)
        if known is not None:
            self.found.sites.append(StaticSite(address, bits, code[: known[1]], known[0]))

    def _transfer(self, target: Target, entry: Entry, targets: list[Entry]) -> None:
        if target is Target.DIRECT:
            targets.append(entry)
        elif target is Target.INDIRECT:
            self.found.indirect += 1
        else:
            self.found.far += 1

    def _region_of(self, address: int) -> Region | None:
        index = bisect.bisect_right(self._starts, address) - 1
        region = self._regions[index] if index >= 0 else None
        return region if region is not None and address < region.end else None

    def _seen_in(self, region: Region, bits: int) -> bytearray:
        key = (region.address, bits)
        if key not in self._seen:
            self._seen[key] = bytearray(len(region.data))
        return self._seen[key]


@dataclass(frozen=True, slots=True)
class Recall:
    """How much of what executed the walk had found: `found` of `executed` sites, those it missed, and those
    that no walk can find: `rewritten` ones, where the image has other bytes than ran."""

    executed: int
    found: int
    missed: tuple[tuple[int, bytes], ...]
    rewritten: tuple[tuple[int, bytes], ...]

    @property
    def ratio(self) -> float:
        """1.0 if nothing executed."""
        return self.found / self.executed if self.executed else 1.0


def compare(
    static: Iterable[StaticSite], executed: Sequence[tuple[int, bytes]], regions: Sequence[Region]
) -> Recall:
    """Recall of a walk through `regions` against `executed` sites as (address, original bytes)."""
    known = {(site.address, site.code) for site in static}
    ran = sorted(set(executed))
    absent = [site for site in ran if site not in known]
    missed = tuple(site for site in absent if _holds(regions, *site))
    rewritten = tuple(site for site in absent if not _holds(regions, *site))
    return Recall(len(ran), len(ran) - len(absent), missed, rewritten)


def _holds(regions: Iterable[Region], address: int, code: bytes) -> bool:
    """Whether the image has `code` at `address`."""
    return any(
        region.data.startswith(code, address - region.address)
        for region in regions
        if region.address <= address < region.end
    )
