"""The committed baseline: what no exact figure may rise above."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmm.bench.traps import FORMAT
from vmm.errors import UsageError, one_line


@dataclass(frozen=True, slots=True)
class Finding:
    """One line about a kernel; `worse` says that the check fails for it."""

    worse: bool
    text: str


def load(path: Path) -> dict[str, Any]:
    """A baseline, or any report of `vmm bench traps --json`. UsageError, with the reason, if it is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(one_line(f"{path}: cannot read it: {error.strerror}")) from None
    except ValueError as error:
        raise UsageError(one_line(f"{path}: no JSON: {error}")) from None
    if (
        not isinstance(found, dict)
        or found.get("format") != FORMAT
        or not isinstance(found.get("kernels"), dict)
    ):
        raise UsageError(
            one_line(
                f"{path}: no baseline of this version; make one with vmm bench traps --exact --json {path}"
            )
        )
    return found


def compare(baseline: Mapping[str, Any], report: Mapping[str, Any]) -> list[Finding]:
    """What differs between two reports."""
    findings: list[Finding] = []
    before, now = baseline["kernels"], report["kernels"]
    if baseline.get("events") != report["events"]:
        return [Finding(True, f"the baseline counts {baseline.get('events')} events, not {report['events']}")]
    for name, kernel in before.items():
        if name not in now:
            findings.append(Finding(True, f"{name}: there is no such kernel any more"))
            continue
        for technique, figures in kernel["techniques"].items():
            where = f"{name} ({technique}, class {'+'.join(kernel['classes'])})"
            if technique not in now[name]["techniques"]:
                findings.append(Finding(True, f"{where}: no longer measured"))
                continue
            findings += _figures(where, figures["exact"], now[name]["techniques"][technique]["exact"])
    findings += [Finding(False, f"{name}: not in the baseline") for name in now if name not in before]
    return findings


def _figures(where: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Finding]:
    names = [name for name, value in now.items() if isinstance(value, int)]
    changes = [(name, before.get(name, 0), now[name]) for name in names]
    changes += [(f"traps of class {name}", *pair) for name, pair in _pairs(before["traps"], now["traps"])]
    changed = [change for change in changes if change[1] != change[2]]
    if not changed:
        return
    worse = any(new > old for _, old, new in changed)
    text = ", ".join(f"{name.replace('_', ' ')} {old} -> {new}" for name, old, new in changed)
    sites = "; ".join(_sites(before["sites"], now["sites"]))
    yield Finding(worse, f"{where}: {text}{'; site ' + sites if sites else ''}")


def _pairs(before: Mapping[str, int], now: Mapping[str, int]) -> Iterator[tuple[str, tuple[int, int]]]:
    for name in dict.fromkeys([*before, *now]):
        yield name, (before.get(name, 0), now.get(name, 0))


def _sites(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *now]):
        old, new = (each.get(name, {}).get("hits", 0) for each in (before, now))
        if old != new:
            one = now.get(name) or before[name]
            yield f"{name} ({one['bytes']}, class {one['class']}) {old} -> {new} hits"
