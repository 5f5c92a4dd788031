"""A report in SARIF 2.1.0 (OASIS), for viewers of analysis results: a rule per row of the instruction table,
a result per site.

Addresses of kernels do not fit the numbers that many readers have, so a location is given as an offset from
a region of the image, whose own address is in its name. Leaves out source positions: an image has none.
"""

from __future__ import annotations

from typing import Any

from vmm.explain.model import ORIGINS, Origin, Report, ReportSite
from vmm.sbe.insn_table import Insn

VERSION = "2.1.0"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LARGEST = 1 << 53


def sarif(report: Report) -> dict[str, Any]:
    """The log file."""
    rows = sorted({site.insn for site in report.sites}, key=lambda row: row.number)
    numbers = {row.id: index for index, row in enumerate(rows)}
    driver = {
        "name": "vmm sbe",
        "semanticVersion": report.vmm,
        "rules": [_rule(row) for row in rows],
        "properties": {"engine": report.engine},
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": {"uri": _uri(report.image)}, "hashes": {"sha-256": report.image_sha256}}],
        "addresses": [_region(index, *region) for index, region in enumerate(report.regions)],
        "results": [_result(report, site, numbers[site.insn.id]) for site in report.sites],
        "properties": {"profile": report.profile, "protocol": report.protocol, "names": report.names},
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _uri(path: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 (few runs want it)

    return quote(path)


def _rule(row: Insn) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.mnemonic,
        "shortDescription": {"text": f"{row.mnemonic} is {row.kind}."},
        "fullDescription": {"text": f"{row.mnemonic}: {row.why}."},
        "defaultConfiguration": {"level": "note"},
        "properties": {
            "class": row.class_name,
            "full": row.full,
            "adaptive": row.adaptive,
            "allowed": list(row.allowed),
        },
    }


def _region(index: int, address: int, length: int) -> dict[str, Any]:
    return {"index": index, "kind": "section", "name": f"{address:#x}", "length": length}


def _result(report: Report, site: ReportSite, rule: int) -> dict[str, Any]:
    where = site.place or f"{site.address:#x}"
    found = ORIGINS[site.origin]
    return {
        "ruleId": site.insn.id,
        "ruleIndex": rule,
        "level": "warning" if site.origin is Origin.MISSED else "note",
        "message": {
            "text": f"{site.insn.mnemonic} in {where}: {site.insn.why}. {site.treatment} It was {found}."
        },
        "locations": [_location(report, site)],
        "fingerprints": {"site/v1": f"{site.address:x}/{site.bits}/{site.cpl}/{site.code.hex()}"},
        "properties": {
            "address": f"{site.address:#x}",
            "bytes": site.code.hex(),
            "found": str(site.origin),
            "policy": site.policy,
            "traps": site.traps,
            "cycles": site.cycles,
            "disassembly": [f"{line.address:#x}: {line.text}" for line in site.listing.lines],
        },
    }


def _location(report: Report, site: ReportSite) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(report.image), "index": 0},
            "address": _address(report, site),
        }
    }
    if site.function:
        location["logicalLocations"] = [{"name": site.function, "kind": "function"}]
    return location


def _address(report: Report, site: ReportSite) -> dict[str, Any]:
    address: dict[str, Any] = {
        "kind": "instruction",
        "name": f"{site.address:#x}",
        "length": len(site.code),
    }
    for index, (start, length) in enumerate(report.regions):
        if site.origin is not Origin.OUTSIDE and start <= site.address < start + length:
            return {**address, "parentIndex": index, "offsetFromParent": site.address - start}
    return {**address, "absoluteAddress": site.address} if site.address < _LARGEST else address
