"""What a micro-kernel is: one event, in a loop, and what has to stand around it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One event to be measured, as assembly in Intel syntax.

    `body` is the event. It runs at CPL `level` and keeps R15 (the loop's counter), R14 and RSP. `setup` runs
    once before, at CPL 0; the registers it sets are the body's. `handlers` are the entry points of
    vectors, `entry` is the code that SYSCALL and SYSENTER reach. Where a handler is part of the event it
    counts itself in R14, and `faults` is how often it does per event: a run in which that differs has
    measured something else. `paravirtual` is the body that calls the hypercall page (`calls.py`) instead.

    `native` is false where the engine alone does something else.

    `rows` are the rows of the instruction table that the event exercises, `group` what it is listed under
    if it exercises none, `series` another word to choose it by.
    """

    name: str
    text: str
    body: str
    rows: tuple[str, ...] = ()
    group: str = ""
    setup: str = ""
    handlers: tuple[tuple[int, str], ...] = ()
    entry: str = ""
    faults: int = 0
    level: int = 0
    paravirtual: str = ""
    native: bool = True
    series: str = ""


NANOBENCHMARK = "nanobenchmark"
"""Series of those of Adams and Agesen, "A comparison of software and hardware techniques for x86
virtualization", ASPLOS 2006."""


EMPTY = Kernel(name="empty", group="baseline", text="nothing at CPL 0: what a figure can differ by", body="")
EMPTY_USER = Kernel(
    name="empty-user",
    group="baseline",
    text="nothing at CPL 3: what a figure can differ by",
    body="",
    level=3,
)
