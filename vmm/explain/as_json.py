"""A report as plain data for machines: numbers as numbers, bytes as hex digits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vmm.explain.model import Report, ReportSite


def plain(report: Report) -> dict[str, Any]:
    """Every field of the report."""
    return {
        "image": report.image,
        "image_sha256": report.image_sha256,
        "protocol": report.protocol,
        "profile": report.profile,
        "vmm": report.vmm,
        "engine": report.engine,
        "names": report.names,
        "slide": report.slide,
        "walk": dict(report.walk),
        "run": None if report.run is None else {**asdict(report.run), "recall": report.run.recall},
        "classes": [asdict(one) for one in report.classes],
        "sites": [_site(one) for one in report.sites],
    }


def _site(site: ReportSite) -> dict[str, Any]:
    return {
        "address": site.address,
        "bits": site.bits,
        "cpl": site.cpl,
        "bytes": site.code.hex(),
        "row": site.insn.id,
        "instruction": site.insn.mnemonic,
        "class": site.insn.class_name,
        "kind": site.insn.kind,
        "why": site.insn.why,
        "found": str(site.origin),
        "function": site.function,
        "offset": site.offset,
        "policy": site.policy,
        "treatment": site.treatment,
        "replacement": None if site.replacement is None else site.replacement.hex(),
        "traps": site.traps,
        "cycles": site.cycles,
        "guessed_before": site.listing.guessed,
        "disassembly": [[line.address, line.code.hex(), line.text] for line in site.listing.lines],
    }
