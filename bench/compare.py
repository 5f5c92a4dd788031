"""Fair comparison of programs on a noisy machine: interleaved runs, wall and processor time up to a sign.

A contender is a command line that prints to its standard output. A run is timed from the start of the
process to the sign on its output; the process is then ended, and what it used of the processor is read from
the kernel.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_CHUNK = 1 << 16
_TAIL = 400


class RunError(Exception):
    """A contender did not show the sign: one line with its name, why, and the end of its output."""


@dataclass(frozen=True, slots=True)
class Contender:
    """`details` is called after each run for what the program itself has to say, such as a JSON file it
    wrote. `ends` tells that it ends by itself after the sign, and must be let."""

    name: str
    command: Sequence[str]
    ends: bool = False
    details: Callable[[], dict[str, Any]] = dict


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds to the sign, seconds of processor time (user and system) of the whole process."""

    wall: float
    cpu: float
    details: dict[str, Any] = field(default_factory=dict)


Results = Mapping[str, Sequence[Run]]


def interleaved(
    contenders: Sequence[Contender], sign: str, runs: int, timeout: float
) -> Iterator[tuple[str, Run]]:
    """(name, run) for `runs` rounds; each round runs every contender once, so that all see the same noise.

    `sign` is a regular expression for a line's start. Raises RunError."""
    pattern = re.compile(sign.encode(), re.MULTILINE)
    for round_number in range(runs):
        # Every other round in reverse: nobody always runs on the caches the same other one left.
        order = contenders if round_number % 2 == 0 else contenders[::-1]
        for contender in order:
            yield contender.name, _run(contender, pattern, timeout)


def _run(contender: Contender, sign: re.Pattern[bytes], timeout: float) -> Run:
    started = time.perf_counter()
    with subprocess.Popen(
        contender.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            wall = _wait_for_sign(contender.name, process, sign, started, timeout)
            if not contender.ends:
                # Not Popen.kill: it looks first whether the process has ended, and takes the usage we want.
                os.kill(process.pid, signal.SIGKILL)
            else:
                _drain(contender.name, process, started + timeout)
        except BaseException:
            process.kill()
            raise
        cpu = _reap(process)
    return Run(wall, cpu, contender.details())


def _wait_for_sign(
    name: str, process: subprocess.Popen[bytes], sign: re.Pattern[bytes], started: float, timeout: float
) -> float:
    output = bytearray()
    for chunk in _chunks(process, started + timeout):
        output += chunk
        if sign.search(output):
            return time.perf_counter() - started
    tail = output[-_TAIL:].decode(errors="replace").strip()
    reason = "ended" if time.perf_counter() < started + timeout else f"ran {timeout:g} s"
    raise RunError(f"{name}: {reason} without {sign.pattern.decode()!r}; its output ends: {tail!r}")


def _drain(name: str, process: subprocess.Popen[bytes], deadline: float) -> None:
    for _ in _chunks(process, deadline):
        pass
    if time.perf_counter() >= deadline:
        raise RunError(f"{name}: showed the sign but did not end")


def _chunks(process: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
    """Output as it comes, until its end or the deadline."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - time.perf_counter()) > 0 and selector.select(left):
            chunk = os.read(process.stdout.fileno(), _CHUNK)
            if not chunk:
                return
            yield chunk


def _reap(process: subprocess.Popen[bytes]) -> float:
    """Wait for the process; processor seconds it used."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True, slots=True)
class Spread:
    """Middle and ends of a series of measurements, in seconds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Spread of one value or more."""
        return cls(statistics.median(values), min(values), max(values))


def report(results: Results, subject: str, reference: str) -> dict[str, Any]:
    """Spreads per contender and, if both ran, the ratio of `subject` to `reference`, per kind of time."""
    summary: dict[str, Any] = {
        name: {
            "runs": len(runs),
            "wall": asdict(Spread.of([run.wall for run in runs])),
            "cpu": asdict(Spread.of([run.cpu for run in runs])),
            "details": [run.details for run in runs],
        }
        for name, runs in results.items()
    }
    if subject in results and reference in results:
        summary["ratio"] = {
            kind: summary[subject][kind]["median"] / summary[reference][kind]["median"]
            for kind in ("wall", "cpu")
        }
    return summary


def table(summary: Mapping[str, Any]) -> str:
    """The report as text, seconds."""
    lines = [f"{'':12}{'runs':>6}{'median':>9}{'min':>9}{'max':>9}{'cpu':>9}"]
    for name, row in summary.items():
        if name != "ratio":
            wall = row["wall"]
            values = (wall["median"], wall["low"], wall["high"], row["cpu"]["median"])
            lines.append(f"{name:12}{row['runs']:6}" + "".join(f"{value:9.3f}" for value in values))
    if ratio := summary.get("ratio"):
        lines.append(f"{'ratio':12}{'':6}{ratio['wall']:9.3f}{'':18}{ratio['cpu']:9.3f}")
    return "\n".join(lines)
