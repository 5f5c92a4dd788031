"""Two CPUs at once: what parallel guest code costs with a host thread per CPU, and under QEMU's
multi-threaded TCG, in interleaved boots of one Linux.

`python -m bench.smp [--runs N] [--json FILE]`. The guest program (bench/guest/parallel.c) runs each loop on
both CPUs at the same time; the times are the guest's own, in real time. Printed are the median and the best
of the boots: two CPUs of a guest need two of the host, and whoever else uses those is measured along.
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
from bench.loops import Times
from tests import guest_images, initramfs, packages

PROGRAM = Path(__file__).parent / "guest" / "parallel.c"
LINE = re.compile(r"^LOOP ([^:]+): ([0-9.]+)", re.MULTILINE)
BOOT_SECONDS = 300


def guest_program(folder: Path) -> bytes:
    """The loops, compiled static for the guest. Raises CalledProcessError."""
    out = folder / "parallel"
    subprocess.run(["gcc", "-O2", "-static", "-pthread", "-o", out, PROGRAM], check=True)
    return out.read_bytes()


def commands(image: guest_images.GuestImage, initrd: Path, memory: str) -> dict[str, list[str]]:
    """One command line per contender; both print the guest's console and end with it."""
    append = f"{guest_images.LINUX_CONSOLE} quiet"
    qemu = str(packages.require_program("qemu-system-x86_64"))
    ours = [sys.executable, "-m", "vmm", "run", str(image.path), "--memory", memory]
    ours += ["--cpus", "2", "--smp", "threads", "--time", "real", "--initrd", str(initrd), "--append", append]
    theirs = [qemu, "-accel", "tcg,thread=multi", "-smp", "2", "-machine", "pc", "-nodefaults", "-no-reboot"]
    theirs += ["-display", "none", "-serial", "stdio", "-m", memory, "-kernel", str(image.path)]
    theirs += ["-initrd", str(initrd), "-append", append]
    return {OURS: ours, QEMU: theirs}


def run_once(name: str, command: Sequence[str]) -> Times:
    """Boot, and read the loops' lines. Raises RunError when none came."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOOT_SECONDS, check=False)
    times = {loop: float(seconds) for loop, seconds in LINE.findall(done.stdout)}
    if not times:
        raise RunError(f"{name}: no loop was timed: {done.stdout[-300:]!r} {done.stderr[-300:]!r}")
    return times


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; exit code 1 if a contender fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.smp", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="boots of each (default 3)")
    parser.add_argument("--memory", default="256M", metavar="SIZE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    options = parser.parse_args(arguments)
    runs: dict[str, list[Times]] = {OURS: [], QEMU: []}
    with tempfile.TemporaryDirectory() as scratch:
        program = guest_program(Path(scratch))
        initrd = initramfs.marker_initramfs("poweroff", commands="/parallel\n", files={"parallel": program})
        try:
            for _ in range(options.runs):
                image = guest_images.find("linux-cloud")
                for name, command in commands(image, initrd, options.memory).items():
                    runs[name].append(run_once(name, command))
        except (RunError, *packages.MISSING) as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{'on both CPUs':18}{OURS:>12}{QEMU:>12}{'ratio':>8}{'best':>12}{'ratio':>8}")
    for loop in runs[OURS][0]:
        ours, theirs = ([times[loop] for times in runs[name]] for name in (OURS, QEMU))
        middle = statistics.median(ours), statistics.median(theirs)
        print(
            f"{loop:18}{middle[0]:11.4f}s{middle[1]:11.4f}s{middle[0] / middle[1]:8.2f}"
            f"{min(ours):11.4f}s{min(ours) / min(theirs):8.2f}"
        )
    if options.json:
        options.json.write_text(json.dumps({"runs": runs}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
