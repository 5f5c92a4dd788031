"""What a report says: sites, classes and the run they were counted in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vmm.explain.listing import Listing
from vmm.sbe.insn_table import Insn


class Origin(StrEnum):
    """Who found a site: the static walk, execution, or both."""

    WALK = "walk"
    BOTH = "both"
    MISSED = "missed"
    REWRITTEN = "rewritten"
    OUTSIDE = "outside"


ORIGINS: Mapping[Origin, str] = {
    Origin.WALK: "found by the static walk; execution did not rewrite it",
    Origin.BOTH: "found by the static walk, and rewritten in execution",
    Origin.MISSED: "missed by the static walk: only execution came here",
    Origin.REWRITTEN: "the guest had written other code here than the image holds",
    Origin.OUTSIDE: "outside the image: user space, modules, firmware, or code the guest made",
}


@dataclass(frozen=True, slots=True)
class ReportSite:
    """One sensitive instruction.

    `address` is where the image has it, or where it ran if it is outside the image. `policy` is what became
    of it, or what the profile would do. `replacement` and what is counted are None if execution did not
    rewrite it; `traps` counts traps into the monitor, `cycles` is their modelled cost.
    """

    address: int
    bits: int
    cpl: int | None
    code: bytes
    insn: Insn
    origin: Origin
    function: str
    offset: int
    policy: str
    replacement: bytes | None
    replacement_text: str
    traps: int | None
    cycles: int | None
    listing: Listing

    @property
    def place(self) -> str:
        """`function+0x12`; empty if the function has no name."""
        return f"{self.function}+{self.offset:#x}" if self.function and self.offset else self.function

    @property
    def treatment(self) -> str:
        """One sentence on what the policy means here."""
        return _TREATMENTS[self.policy if self.policy != "trap" else f"trap, {self.insn.shape}"]


_TREATMENTS = {
    "native": "Left as it is: the engine runs it on the guest's own virtual state.",
    "inline": "Replaced by a sequence of its own length that needs no monitor.",
    "trap, continue": "Replaced by a trap into the monitor, which emulates it and goes on in the same block.",
    "trap, end": "Replaced by a trap into the monitor, which emulates it and ends the block.",
}


@dataclass(frozen=True, slots=True)
class ReportClass:
    """One class of instruction: its sites, and what the monitor counted of it. `at_sites` of the `traps`
    came from rewritten instructions, the rest from native code that reached the monitor."""

    name: str
    text: str
    sites: int
    traps: int | None
    at_sites: int | None
    cycles: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """The run that was counted. Of the `executed` sites in the image, the walk had found those `known`."""

    outcome: str
    instructions: int
    guest_seconds: float
    traps: int
    cycles: int
    executed: int
    known: int
    missed: int
    rewritten: int
    outside: int

    @property
    def recall(self) -> float:
        """Share that the walk knew of the sites that ran as the image has them; 1.0 if none did."""
        return self.known / (self.known + self.missed) if self.known + self.missed else 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """Everything; the dearest sites and classes come first. `walk` has the walk's counters."""

    image: str
    image_sha256: str
    protocol: str
    profile: str
    vmm: str
    engine: str
    names: str
    slide: int
    walk: Mapping[str, Any]
    run: Run | None
    classes: tuple[ReportClass, ...]
    sites: tuple[ReportSite, ...]
    regions: tuple[tuple[int, int], ...]
