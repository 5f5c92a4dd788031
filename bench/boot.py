"""Boot of Debian's cloud kernel to a marker in userspace: ours against QEMU's TCG, in interleaved runs.

`python -m bench.boot [--runs N] [--json FILE]`. QEMU gets one thread and no device that the boot does not
need.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.compare import Contender, Run, RunError, interleaved, report, table
from tests import guest_images, initramfs, packages

OURS, QEMU = "vmm", "qemu-tcg"
SIGN = rf"^{initramfs.MARKER}"


def contenders(options: argparse.Namespace, scratch: Path) -> list[Contender]:
    """Those of vmm and QEMU that `options.only` names; both boot the same files the same way."""
    guest = guest_images.find("linux-cloud")
    available = {
        OURS: lambda: _vmm(guest, options, scratch / "vmm.json"),
        QEMU: lambda: _qemu(guest, options),
    }
    return [available[name]() for name in options.only]


def _vmm(guest: guest_images.GuestImage, options: argparse.Namespace, result: Path) -> Contender:
    command = [
        *(sys.executable, "-m", "vmm", "run", str(guest.path), "--initrd", str(guest.kwargs["initrd"])),
        *("--append", options.append, "--memory", options.memory, "--until", guest.until),
        *("--json", str(result), *options.vmm_option),
    ]
    return Contender(OURS, command, ends=True, details=lambda: _own_numbers(result))


def _own_numbers(result: Path) -> dict[str, Any]:
    whole = json.loads(result.read_text(encoding="utf-8"))
    return {
        key: whole[key] for key in ("instructions", "guest_seconds", "wall_seconds", "sbe") if key in whole
    }


def _qemu(guest: guest_images.GuestImage, options: argparse.Namespace) -> Contender:
    command = [
        *(
            str(packages.require_program("qemu-system-x86_64")),
            "-accel",
            "tcg,thread=single",
            "-machine",
            "pc",
        ),
        *("-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-m", options.memory),
        *("-kernel", str(guest.path), "-initrd", str(guest.kwargs["initrd"]), "-append", options.append),
    ]
    return Contender(QEMU, command)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.boot", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="rounds (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    parser.add_argument(
        "--only", nargs="+", choices=(OURS, QEMU), default=[OURS, QEMU], help="run only these"
    )
    parser.add_argument("--memory", default="256M", metavar="SIZE")
    parser.add_argument("--append", default=guest_images.LINUX_CONSOLE, metavar="TEXT")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="per run (default 60)")
    parser.add_argument(
        "--vmm-option", action="append", default=[], metavar="OPTION", help="passed to vmm run"
    )
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error("--runs: at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; exit code 1 if a contender fails to boot."""
    options = _options(arguments)
    results: dict[str, list[Run]] = {name: [] for name in options.only}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            fighters = contenders(options, Path(scratch))
            for name, run in interleaved(fighters, SIGN, options.runs, options.timeout):
                results[name].append(run)
                print(f"{name}: {run.wall:.3f} s", file=sys.stderr)
        except (RunError, *packages.MISSING) as error:
            print(error, file=sys.stderr)
            return 1
    summary = report(results, OURS, QEMU)
    print(table(summary))
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
