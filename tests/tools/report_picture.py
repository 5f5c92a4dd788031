"""Makes the picture of a report: `python -m tests.tools.report_picture bench/report.png`.

Debian's cloud kernel, booted with every sensitive instruction trapped, as Chromium shows its report.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.boot.cloud_kernel import command
from tests.explain.browser import Browser, browser
from tests.initramfs import MARKER, marker_initramfs
from tests.packages import MISSING
from vmm.cli import main

WIDTH, HEIGHT = 1180, 1380
_COLOURS = 96
_CLASSES = 6
_OPENED = "pv_native_irq_disable"
# The first classes only, one site opened; then two frames and a moment, until all of it is drawn.
_SCENE = f"""
[...document.querySelectorAll('table.classes tbody tr')].slice({_CLASSES}).forEach(row => row.remove());
[...document.querySelectorAll('#list > li')].find(site => site.textContent.startsWith('{_OPENED}'))
    .firstElementChild.open = true;
new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 200))))
"""


def write_report(folder: Path) -> None:
    """The report of Debian's kernel."""
    kernel, *options = command(marker_initramfs())
    words = ["sbe", kernel, "--run", *options, "--until", MARKER, "--timeout", "60", "--sbe", "full"]
    if main([str(word) for word in (*words, "--serial", "/dev/null", "--report", folder)]):
        raise SystemExit("the kernel did not boot")


def picture(chromium: Browser, page: Path) -> bytes:
    """A PNG of few colours."""
    chromium.screen(WIDTH, HEIGHT)
    chromium.open(page.as_uri())
    chromium.value(_SCENE)
    out = io.BytesIO()
    shot = Image.open(io.BytesIO(chromium.screenshot())).convert("RGB")
    shot.quantize(_COLOURS).save(out, "PNG", optimize=True)
    return out.getvalue()


def run(target: Path) -> None:
    """Write the picture to `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "report"
        write_report(folder)
        with browser() as chromium:
            target.write_bytes(picture(chromium, folder / "report.html"))


if __name__ == "__main__":
    try:
        run(Path(sys.argv[1]))
    except MISSING as reason:
        raise SystemExit(str(reason)) from None
