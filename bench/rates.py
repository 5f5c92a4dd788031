"""What bench.disk and bench.net share: Debian's generic kernel that times transfers, in vmm and in QEMU.

Both contenders boot the same kernel and initramfs and show real time to the guest, in turns. The guest times
each transfer several times; a boot's figure is its fastest round, the first being mostly translation.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.boot import OURS, QEMU
from bench.compare import RunError
from tests import initramfs, kernel_modules, packages
from vmm import Machine, Outcome

MEMORY = "512M"
ROUNDS = 4
APPEND = "console=ttyS0 quiet panic=-1"
GUEST_SECONDS = 120
MIB = 1 << 20
LINE = re.compile(r"^TIMED (\S+) ([0-9.]+)", re.MULTILINE)

Rates = dict[str, float]
Contenders = Mapping[str, Callable[[], Rates]]


def kernel() -> Path:
    """Debian's generic kernel."""
    return packages.require(kernel_modules.PACKAGE, "boot/vmlinuz-*")


def initrd(modules: Sequence[str], commands: str, files: Mapping[str, bytes] | None = None) -> Path:
    """An initramfs that inserts `modules`, runs `commands` with the program `/timed`, and powers off."""
    drivers, insert = kernel_modules.insertion(modules)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "timed"
        program = Path(__file__).parent / "guest" / "timed.c"
        subprocess.run(["gcc", "-O2", "-static", "-o", out, program], check=True)
        added = {**drivers, **(files or {}), "timed": out.read_bytes()}
    return initramfs.marker_initramfs("poweroff", commands=insert + commands, files=added)


def rates(name: str, said: str, amounts: Mapping[str, int]) -> Rates:
    """MiB/s of every transfer in `amounts` (bytes); RunError if one was not timed."""
    times: dict[str, float] = {}
    for key, seconds in LINE.findall(said):
        times[key] = min(times.get(key, float("inf")), float(seconds))
    if lacking := [key for key in amounts if key not in times]:
        raise RunError(f"{name}: {lacking[0]} failed; the guest said last: {said[-400:]!r}")
    return {key: amount / MIB / times[key] for key, amount in amounts.items()}


def ours(image: Path, initrd: Path, **devices: Any) -> str:
    """What the guest said under vmm, in real time."""
    with Machine(image, initrd=initrd, append=APPEND, memory=MEMORY, time="real", **devices) as vm:
        vm.run(timeout=GUEST_SECONDS).require(Outcome.POWEROFF)
        return vm.serial.text


def theirs(image: Path, initrd: Path, devices: Sequence[str]) -> str:
    """What the guest said under QEMU's TCG."""
    command = [str(packages.require_program("qemu-system-x86_64")), "-accel", "tcg,thread=single"]
    command += ["-machine", "pc", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]
    command += ["-m", MEMORY, "-kernel", str(image), "-initrd", str(initrd), "-append", APPEND, *devices]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GUEST_SECONDS, check=False)
    return done.stdout.replace("\r", "") + done.stderr


def interleaved(contenders: Contenders, runs: int) -> dict[str, list[Rates]]:
    """All rates by contender; every other round in reverse."""
    results: dict[str, list[Rates]] = {name: [] for name in contenders}
    for number in range(runs):
        for name in list(contenders)[:: 1 if number % 2 == 0 else -1]:
            results[name].append(contenders[name]())
    return results


def same_figures(image: Path, initrd: Path, runs: int, **devices: Any) -> dict[str, Any]:
    """What `runs` runs in virtual time have in common; RunError if they differ."""
    seen: list[dict[str, Any]] = []
    for _ in range(runs):
        with Machine(image, initrd=initrd, append=APPEND, memory=MEMORY, **devices) as vm:
            vm.run(timeout=GUEST_SECONDS).require(Outcome.POWEROFF)
            serial, count = vm.serial.log.sha256, vm.stats.instructions
            seen.append({"instructions": count, "state": vm.state_sha256, "serial": serial})
    if any(figures != seen[0] for figures in seen):
        raise RunError(f"{OURS}: runs in virtual time differ: {seen}")
    return seen[0]


def medians(results: Mapping[str, Sequence[Rates]]) -> dict[str, dict[str, float]]:
    """transfer -> median rates of both, and ours over QEMU's."""
    rows: dict[str, dict[str, float]] = {}
    for key in results[OURS][0]:
        row = {name: statistics.median(run[key] for run in runs) for name, runs in results.items()}
        if QEMU in row:
            row["ratio"] = row[OURS] / row[QEMU]
        rows[key] = row
    return rows


def parser(program: str, about: str | None) -> argparse.ArgumentParser:
    """The options of both benchmarks."""
    out = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    out.add_argument("--runs", type=int, default=3, metavar="N", help="boots of each (default 3)")
    out.add_argument("--mib", type=int, default=64, metavar="N", help="MiB of each transfer (default 64)")
    out.add_argument("--equal", type=int, default=5, metavar="N", help="boots in virtual time (default 5)")
    out.add_argument("--only", nargs="+", choices=(OURS, QEMU), default=[OURS, QEMU], help="run only these")
    out.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    return out


def compare(
    options: argparse.Namespace, contenders: Contenders, equal: Callable[[int], dict[str, Any]]
) -> int:
    """Run and print; exit code 1 if a contender fails or our runs in virtual time differ."""
    try:
        results = interleaved({name: contenders[name] for name in options.only}, options.runs)
        figures = equal(options.equal) if options.equal else {}
    except (RunError, subprocess.TimeoutExpired, *packages.MISSING) as error:
        print(error, file=sys.stderr)
        return 1
    rows = medians(results) if OURS in results else {}
    print(f"{'MiB/s':20}{OURS:>10}{QEMU:>10}{'ratio':>8}")
    for key, row in rows.items():
        print(f"{key:20}{row[OURS]:10.1f}{row.get(QEMU, 0):10.1f}{row.get('ratio', 0):8.2f}")
    if figures:
        print(
            f"virtual time, {options.equal} runs equal: " + ", ".join(f"{k} {v}" for k, v in figures.items())
        )
    if options.json:
        options.json.write_text(json.dumps({"runs": results, "medians": rows, "equal": figures}, indent=2))
    return 0
