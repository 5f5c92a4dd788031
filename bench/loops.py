"""In-guest loops: what guest code costs under vmm and under QEMU's TCG, in interleaved boots of one Linux.

`python -m bench.loops [--runs N] [--json FILE]`. The guest program (bench/guest/loops.c) is compiled static
here and run by the initramfs. Both contenders show real time to the guest; a loop's figure is its fastest
round of each boot, and the median over the boots.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.boot import OURS, QEMU
from bench.compare import RunError
from tests import guest_images, initramfs, packages

PROGRAM = Path(__file__).parent / "guest" / "loops.c"
LINE = re.compile(r"^LOOP (\S+) ([0-9.]+)", re.MULTILINE)
BOOT_SECONDS = 120

Times = dict[str, float]


def guest_program(folder: Path) -> bytes:
    """The loops, compiled static for the guest. Raises CalledProcessError."""
    out = folder / "loops"
    subprocess.run(["gcc", "-O2", "-static", "-o", out, PROGRAM], check=True)
    return out.read_bytes()


def commands(image: guest_images.GuestImage, initrd: Path, memory: str) -> dict[str, list[str]]:
    """One command line per contender; both print the guest's console and end with it."""
    append = f"{guest_images.LINUX_CONSOLE} quiet"
    qemu = str(packages.require_program("qemu-system-x86_64"))
    ours = [sys.executable, "-m", "vmm", "run", str(image.path), "--time", "real", "--memory", memory]
    theirs = [qemu, "-accel", "tcg,thread=single", "-machine", "pc", "-nodefaults", "-display", "none"]
    theirs += ["-no-reboot", "-serial", "stdio", "-m", memory, "-kernel", str(image.path)]
    tail = ["--initrd", str(initrd), "--append", append]
    return {OURS: ours + tail, QEMU: theirs + [part.replace("--", "-", 1) for part in tail]}


def run_once(name: str, command: Sequence[str]) -> Times:
    """Boot, and read the loops' lines. Raises RunError when none came."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOOT_SECONDS, check=False)
    times = {loop: float(seconds) for loop, seconds in LINE.findall(done.stdout)}
    if not times:
        raise RunError(f"{name}: no loop was timed: {done.stdout[-300:]!r} {done.stderr[-300:]!r}")
    return times


def summary(runs: dict[str, list[Times]]) -> dict[str, dict[str, float]]:
    """loop -> medians in seconds of both, and ours over QEMU's."""
    table = {}
    for loop in runs[OURS][0]:
        ours = statistics.median(times[loop] for times in runs[OURS])
        theirs = statistics.median(times[loop] for times in runs[QEMU])
        table[loop] = {OURS: ours, QEMU: theirs, "ratio": ours / theirs}
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; exit code 1 if a contender fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.loops", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="boots of each (default 3)")
    parser.add_argument("--memory", default="256M", metavar="SIZE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    options = parser.parse_args(arguments)
    runs: dict[str, list[Times]] = {OURS: [], QEMU: []}
    with tempfile.TemporaryDirectory() as scratch:
        program = guest_program(Path(scratch))
        initrd = initramfs.marker_initramfs("poweroff", commands="/loops\n", files={"loops": program})
        try:
            for _ in range(options.runs):
                image = guest_images.find("linux-cloud")
                for name, command in commands(image, initrd, options.memory).items():
                    runs[name].append(run_once(name, command))
        except (RunError, *packages.MISSING) as error:
            print(error, file=sys.stderr)
            return 1
    table = summary(runs)
    print(f"{'loop':16}{OURS:>12}{QEMU:>12}{'ratio':>8}")
    for loop, row in table.items():
        print(f"{loop:16}{row[OURS]:11.4f}s{row[QEMU]:11.4f}s{row['ratio']:8.2f}")
    if options.json:
        options.json.write_text(json.dumps({"runs": runs, "summary": table}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
