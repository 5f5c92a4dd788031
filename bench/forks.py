"""fork and wait inside Linux: what one costs in monitor entries, by technique, and in time against QEMU.

`python -m bench.forks [--count N] [--runs N] [--json FILE]`. The guest program (bench/guest/forks.c) is
compiled static here and run by the initramfs of Debian's cloud kernel. The exact figures are the counters'
growth between its two lines in virtual time, and must be equal in every run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.boot import QEMU
from bench.compare import RunError
from tests import guest_images, initramfs, packages
from vmm import Machine
from vmm.bench import cost
from vmm.bench.exact import growth
from vmm.bench.techniques import Technique, machine_arguments

PROGRAM = Path(__file__).parent / "guest" / "forks.c"
BEGIN, END = "FORKS begin", "FORKS end"
GUEST_SECONDS = 120.0
TECHNIQUES: Mapping[str, Mapping[str, Any]] = {
    "trap": machine_arguments(Technique.TRAP),
    "native": machine_arguments(Technique.NATIVE),
    "adaptive": {"sbe": "adaptive"},
}


def boot_files(count: int) -> tuple[Path, Path]:
    """Kernel, and an initramfs that forks. Raises CalledProcessError if there is no compiler."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "forks"
        subprocess.run(["gcc", "-O2", "-static", "-o", out, PROGRAM], check=True)
        files = {"forks": out.read_bytes()}
    initrd = initramfs.marker_initramfs("poweroff", commands=f"/forks {count}\n", files=files)
    return guest_images.find("linux-cloud").path, initrd


def ours(kernel: Path, initrd: Path, technique: str) -> tuple[dict[str, Any], float]:
    """Exact figures of all forks, and host seconds."""
    append = f"{guest_images.LINUX_CONSOLE} quiet"
    arguments = TECHNIQUES[technique]
    with Machine(kernel, initrd=initrd, append=append, memory="256M", **arguments) as vm:
        vm.run(until=BEGIN, timeout=GUEST_SECONDS).require()
        before, hits = vm.stats, _site_hits(vm)
        started = time.perf_counter()
        vm.run(until=END, timeout=GUEST_SECONDS).require()
        seconds = time.perf_counter() - started
        counters, traps = growth(before, vm.stats)
        counters["site_hits"] = _site_hits(vm) - hits
    return {**counters, "cycles": cost.cycles(counters), "traps": traps}, seconds


def _site_hits(vm: Machine) -> int:
    return sum(site.hits for site in vm.sites)


def theirs(kernel: Path, initrd: Path) -> float:
    """Host seconds between the lines under QEMU's TCG."""
    command = [
        *(
            str(packages.require_program("qemu-system-x86_64")),
            "-accel",
            "tcg,thread=single",
            "-machine",
            "pc",
        ),
        *("-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-m", "256M"),
        *("-kernel", str(kernel), "-initrd", str(initrd)),
        *("-append", f"{guest_images.LINUX_CONSOLE} quiet"),
    ]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen: dict[str, float] = {}
        for line in process.stdout:
            if line.strip() in (BEGIN, END):
                seen[line.strip()] = time.perf_counter()
            if END in seen:
                break
        process.kill()
    if len(seen) != 2:
        raise RunError(f"{QEMU}: the forks did not end")
    return seen[END] - seen[BEGIN]


def measure(count: int, runs: int, qemu: bool = True) -> dict[str, Any]:
    """Per contender: exact figures per fork (ours), microseconds per fork. RunError if exact ones differ."""
    kernel, initrd = boot_files(count)
    exact: dict[str, dict[str, Any]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in (*TECHNIQUES, *([QEMU] if qemu else []))}
    for _ in range(runs):
        for name in TECHNIQUES:
            figures, spent = ours(kernel, initrd, name)
            if exact.setdefault(name, figures) != figures:
                raise RunError(f"{name}: two runs differ: {exact[name]} and {figures}")
            seconds[name].append(spent)
        if qemu:
            seconds[QEMU].append(theirs(kernel, initrd))
    return {
        name: {"exact": exact.get(name), "microseconds": [value / count * 1e6 for value in spent]}
        for name, spent in seconds.items()
    }


def table(results: Mapping[str, Any], count: int) -> str:
    """Per fork."""
    names = ("instructions", "monitor_entries", "exceptions", "interrupts", "guest_ns", "cycles")
    lines = [f"{'fork+wait':12}" + "".join(f"{name.replace('_', ' '):>17}" for name in names) + f"{'us':>9}"]
    for contender, row in results.items():
        exact = row["exact"]
        cells = "".join(f"{exact[name] / count:17.1f}" if exact else f"{'-':>17}" for name in names)
        lines.append(f"{contender:12}{cells}{statistics.median(row['microseconds']):9.1f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; exit code 1 if a contender fails or two runs differ."""
    parser = argparse.ArgumentParser(prog="python -m bench.forks", description=__doc__)
    parser.add_argument("--count", type=int, default=200, metavar="N", help="forks per run (default 200)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="boots of each (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    options = parser.parse_args(arguments)
    try:
        results = measure(options.count, options.runs)
    except (RunError, *packages.MISSING) as error:
        print(error, file=sys.stderr)
        return 1
    print(table(results, options.count))
    if options.json:
        options.json.write_text(json.dumps({"count": options.count, "contenders": results}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
