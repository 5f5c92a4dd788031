"""The result of a run as JSON: what `vmm run --json` and `vmm sbe --run --json` write."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vmm.cli.options import RunOptions
from vmm.config.version import VERSION
from vmm.machine import Machine, RunResult
from vmm.machine.vectors import vector_name
from vmm.monitor import engine_version

_CHUNK = 1 << 20


def run_report(machine: Machine, result: RunResult, options: RunOptions, code: int) -> dict[str, Any]:
    """Every field of the report; counters are those since power-on."""
    stats = machine.stats
    return {
        "vmm": VERSION,
        "engine": engine_version(),
        "image": str(options.image),
        "image_sha256": file_sha256(options.image),
        "protocol": machine.plan.protocol,
        "options": _plain(asdict(options)),
        "outcome": str(result.outcome),
        "match": result.match,
        "exit_code": code,
        "exit_value": result.exit_value,
        "cause": result.diagnosis.cause if result.diagnosis else None,
        "instructions": stats.instructions,
        "guest_seconds": stats.vm_ns / 1e9,
        "wall_seconds": result.wall_seconds,
        "serial_sha256": machine.serial.log.sha256,
        "state_sha256": machine.state_sha256,
        "monitor_entries": stats.monitor_entries,
        "traps": dict(stats.traps),
        "sbe": {
            "profile": options.sbe,
            "blocks": stats.sbe_blocks,
            "clean_blocks": stats.sbe_clean,
            "instructions": stats.sbe_instructions,
            "candidates": stats.sbe_candidates,
            "sites": stats.sbe_sites,
            "seconds": stats.sbe_seconds,
        },
        "interrupts": {str(vector): count for vector, count in stats.interrupts.items()},
        "exceptions": {vector_name(vector): count for vector, count in stats.exceptions.items()},
        "nmis": stats.nmis,
        "mmio": stats.mmio,
        "unclaimed": {"reads": stats.unclaimed_reads, "writes": stats.unclaimed_writes},
        "engine_counters": {
            "entries": stats.engine_entries,
            "safe_points": stats.safe_points,
            "blocks": stats.blocks,
            "tlb_fills": stats.tlb_fills,
            "tlb_flushes": stats.tlb_flushes,
            "code_invalidations": stats.code_invalidations,
            "direct_loops": stats.direct_loops,
        },
        "srat": _plain(machine.srat._asdict()),
        "nics": _nics(machine),
        "disks": [
            {"file": str(spec.path), "id": spec.id, **stats._asdict()} for spec, stats in machine.disks
        ],
    }


def _nics(machine: Machine) -> list[dict[str, Any]]:
    return [
        {"kind": nic.kind, "target": nic.target, "mac": (nic.mac or b"").hex(":"), **counters._asdict()}
        for nic, counters in zip(machine.options.nics, machine.nic_counters, strict=True)
    ]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes as they are on disk."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def to_json(report: Any) -> str:
    """Text for a file: indented, keys in the order they were made."""
    return json.dumps(report, indent=2, ensure_ascii=True) + "\n"


def _plain(value: Any) -> Any:
    """Paths as text, whatever they are in."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
