"""C structures as records: every conversion of one is here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vmm.monitor.enums import ExitReason, Policy, Request, SratPurpose, TraceKind
from vmm.monitor.library import insn_mnemonics, text_of, trap_classes
from vmm.monitor.records import (
    REGISTER_NAMES,
    DiskStats,
    Exit,
    NetCounters,
    RawScreen,
    Registers,
    Segment,
    Site,
    SratSummary,
    Stats,
    TraceEvent,
)

_SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs")
_TABLES = ("ldt", "tr", "gdt", "idt")
_STATES = ("running", "halted", "waits for SIPI")
_MODE_BITS = (16, 32, 64, 16)
_COUNTERS = (
    *("instructions", "vm_ns", "monitor_entries", "nmis", "engine_entries", "safe_points", "tlb_fills"),
    *("tlb_flushes", "blocks", "code_invalidations", "mmio", "unclaimed_reads", "unclaimed_writes"),
    "direct_loops",
    *("sbe_blocks", "sbe_clean", "sbe_instructions", "sbe_candidates", "sbe_sites"),
)


def exit_of(raw: Any) -> Exit:
    """`struct vmk_exit`."""
    return Exit(ExitReason(raw.reason), Request(raw.request), raw.value, raw.cpu)


def disk_stats_of(raw: Any) -> DiskStats:
    """`struct vmk_disk_stats`."""
    return DiskStats(
        reads=raw.reads,
        writes=raw.writes,
        flushes=raw.flushes,
        discards=raw.discards,
        read_bytes=raw.read_bytes,
        written_bytes=raw.written_bytes,
        errors=raw.errors,
        last_error=text_of(raw.last_error),
    )


def registers_of(raw: Any) -> Registers:
    """`struct vmk_registers`."""
    segments = {name: _segment(raw.seg[index]) for index, name in enumerate(_SEGMENTS)}
    segments |= {name: _segment(getattr(raw, name)) for name in _TABLES}
    return Registers(
        general=dict(zip(REGISTER_NAMES, raw.reg, strict=True)),
        rip=raw.rip,
        rflags=raw.rflags,
        cr={number: getattr(raw, f"cr{number}") for number in (0, 2, 3, 4, 8)},
        efer=raw.efer,
        dr=tuple(raw.dr),
        segments=segments,
        cpl=raw.cpl,
        state=_STATES[raw.state],
        instructions=raw.icount,
    )


def _segment(raw: Any) -> Segment:
    return Segment(raw.selector, raw.base, raw.limit, raw.flags)


def stats_of(raw: Any) -> Stats:
    """`struct vmk_stats`; classes are named."""
    classes = trap_classes()
    return Stats(
        traps={classes[number]: count for number, count in _not_zero(raw.traps) if number < len(classes)},
        exceptions=dict(_not_zero(raw.exceptions)),
        interrupts=dict(_not_zero(raw.interrupts)),
        sbe_seconds=raw.sbe_seconds,
        **{name: getattr(raw, name) for name in _COUNTERS},
    )


def _not_zero(counts: Iterable[int]) -> Iterable[tuple[int, int]]:
    return ((number, count) for number, count in enumerate(counts) if count)


def site_of(raw: Any) -> Site:
    """`struct vmk_site`."""
    return Site(
        pc=raw.pc,
        mnemonic=insn_mnemonics()[raw.insn],
        class_name=trap_classes()[raw.cls],
        bits=_MODE_BITS[raw.mode],
        cpl=raw.cpl,
        policy=Policy(raw.policy),
        code=bytes(raw.bytes)[: raw.len],
        replacement=bytes(raw.replacement)[: raw.len],
        hits=raw.hits,
    )


def srat_of(raw: Any) -> SratSummary:
    """`struct vmk_srat_summary`; purposes without a page are left out."""
    pages = {SratPurpose(number).name.lower(): count for number, count in _not_zero(raw.pages)}
    return SratSummary(raw.owner, raw.page_size, pages, raw.dirty, raw.code, raw.pinned)


def net_counters_of(raw: Any) -> NetCounters:
    """`struct vmk_net_counters`."""
    return NetCounters(*(int(getattr(raw, name)) for name in NetCounters._fields))


def event_of(raw: Any) -> TraceEvent:
    """`struct vmk_trace_event`."""
    return TraceEvent(raw.time, TraceKind(raw.kind), raw.cpu, raw.a, raw.b, raw.c)


def screen_of(raw: Any, cells: Iterable[int]) -> RawScreen:
    """`struct vmk_screen` and its cells."""
    return RawScreen(
        columns=raw.columns,
        rows=raw.rows,
        cells=tuple(cells),
        palette=tuple((colour[0], colour[1], colour[2]) for colour in raw.palette),
        cell_width=raw.cell_width,
        cell_height=raw.cell_height,
        cursor=None if raw.cursor < 0 else raw.cursor,
        cursor_lines=(raw.cursor_first, raw.cursor_last),
        fonts=(raw.font[0], raw.font[1]),
        on=bool(raw.on),
        blinks=bool(raw.blinks),
        repeats_line_graphics=bool(raw.repeats_line_graphics),
        blink_shown=bool(raw.blink_shown),
        cursor_shown=bool(raw.cursor_shown),
    )
