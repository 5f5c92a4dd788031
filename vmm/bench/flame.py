"""A flame graph as one SVG file: what traps cost, by class, guest function and site.

Wider is dearer; what a box stands on is what it is part of. Names come from the guest and are escaped. The
file needs no script: a browser shows a box's full name and figures when the pointer rests on it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from vmm.bench.image_profile import Profile

WIDTH, ROW, MARGIN, HEADER = 1200, 18, 10, 44
_CHARACTER = 6.6
_SMALLEST = 0.4

_STYLE = """\
svg { background: #fff; font: 11px ui-monospace, Menlo, Consolas, monospace }
.h { font: 600 15px system-ui, sans-serif }
text { pointer-events: none; fill: #1b1b1b }
rect { stroke: #fff; stroke-width: .5 }
g:hover > rect { stroke: #000; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  svg { background: #16181d }
  .h { fill: #e8e8e8 }
  rect { stroke: #16181d }
}
"""


@dataclass(slots=True)
class Frame:
    """A box: its cost in cycles and its traps, its children's included."""

    name: str
    cycles: int = 0
    traps: int = 0
    children: dict[str, Frame] = field(default_factory=dict)

    def add(self, path: Sequence[str], cycles: int, traps: int) -> None:
        """Count a cost here and in every box on the way to `path`."""
        self.cycles += cycles
        self.traps += traps
        if path:
            self.children.setdefault(path[0], Frame(path[0])).add(path[1:], cycles, traps)


def frames(profile: Profile, name: str) -> Frame:
    """The tree of a profile under a root called `name`."""
    root = Frame(name)
    for site in profile.sites:
        path = (site.class_name, site.function, f"{site.instruction} at {site.address:#x}")
        root.add(path, site.cycles, site.traps)
    for one in profile.classes:
        rest = one.traps - one.at_sites
        if rest > 0:
            root.add((one.name, "[native code]"), one.cycles * rest // one.traps, rest)
    return root


def svg(root: Frame, title: str) -> str:
    """The drawing."""
    depth = _depth(root)
    height = HEADER + depth * ROW + MARGIN
    boxes = "".join(_boxes(root, MARGIN, WIDTH - 2 * MARGIN, height - MARGIN - ROW, root.cycles))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label={quoteattr(_plain(title))}>\n'
        f"<style>{_STYLE}</style>\n"
        f'<text class="h" x="{MARGIN}" y="26">{escape(_plain(title))}</text>\n{boxes}</svg>\n'
    )


def _boxes(frame: Frame, x: float, width: float, y: float, total: int) -> Iterator[str]:
    if width < _SMALLEST:
        return
    yield _box(frame, x, width, y, total)
    for child in sorted(frame.children.values(), key=lambda one: (-one.cycles, one.name)):
        share = width * child.cycles / frame.cycles if frame.cycles else 0
        yield from _boxes(child, x, share, y - ROW, total)
        x += share


def _box(frame: Frame, x: float, width: float, y: float, total: int) -> str:
    name = _plain(frame.name)
    share = frame.cycles / total if total else 0
    title = f"{name}: {frame.cycles:,} modelled cycles ({share:.1%}), {frame.traps:,} traps"
    room = int((width - 6) / _CHARACTER)
    shown = name if len(name) <= room else name[: room - 1] + "…" if room > 3 else ""
    label = f'<text x="{x + 3:.1f}" y="{y + 13}">{escape(shown)}</text>' if shown else ""
    return (
        f"<g><title>{escape(title)}</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" rx="2" fill="{_colour(name)}"/>'
        f"{label}</g>\n"
    )


def _colour(name: str) -> str:
    """A warm colour, the same for a name in every drawing."""
    return f"hsl({zlib.crc32(name.encode()) % 45 + 10},85%,66%)"


def _depth(frame: Frame) -> int:
    return 1 + max((_depth(child) for child in frame.children.values()), default=0)


def _plain(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
