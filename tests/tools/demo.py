"""`make demo`: boots a hello kernel of ours and, where its package can be fetched, Debian's cloud kernel,
and shows for each what scan-before-execution found, what trapped, and what it took."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.table import Table

from tests import guest_images, packages
from tests.guests_build import guest

PACKAGES = ("linux-image-cloud-amd64", "busybox-static")


def main() -> int:
    """Exit code of the first guest that fails, or 0."""
    console = Console()
    code = _boot(console, "Our own hello kernel", ["--memory", "64M", guest("boot/multiboot1.elf")])
    if code:
        return code
    # Its errors are one line each, on stderr.
    if packages.fetch_all(PACKAGES):
        console.print("Debian's cloud kernel is left out: its packages could not be fetched.")
        return 0
    image = guest_images.find("linux-cloud")
    options = [text for name in ("memory", "append", "initrd") for text in (f"--{name}", image.kwargs[name])]
    return _boot(console, "Debian's cloud kernel", [*options, "--until", image.until, image.path])


def _boot(console: Console, title: str, arguments: list[str | Path]) -> int:
    """`vmm run`, with the guest's console on ours and its report as tables behind it."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "vmm", "run", *map(str, arguments)]
        console.rule(title)
        console.print("$ vmm run " + " ".join(command[4:]), style="dim", highlight=False, soft_wrap=True)
        code = subprocess.run([*command, "--json", str(report)], check=False).returncode
        if code == 0:
            result = json.loads(report.read_text())
            console.print(Columns([_cost(result), _traps(result)], padding=(0, 4)))
        return code


def _cost(result: dict[str, Any]) -> Table:
    sbe = result["sbe"]
    return _table(
        "what it took",
        {
            "instructions": f"{result['instructions']:,}",
            "guest seconds": f"{result['guest_seconds']:.3f}",
            "wall seconds": f"{result['wall_seconds']:.3f}",
            "blocks scanned": f"{sbe['blocks']:,}",
            "instructions decoded": f"{sbe['instructions']:,}",
            "sites rewritten": f"{sbe['sites']:,}",
            "scan seconds": f"{sbe['seconds']:.3f}",
        },
    )


def _traps(result: dict[str, Any]) -> Table:
    traps = sorted(result["traps"].items(), key=lambda item: -item[1])
    return _table("traps by class", {name: f"{count:,}" for name, count in traps})


def _table(title: str, rows: dict[str, str]) -> Table:
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


if __name__ == "__main__":
    sys.exit(main())
