"""The trap table as a picture: a bar per kernel and technique, on a logarithmic scale.

One drawing of rectangles and words, written as SVG, as HTML around it, or as PNG.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

from vmm.bench.exact import EVENTS
from vmm.bench.techniques import Technique
from vmm.bench.timing import QEMU
from vmm.bench.traps import Row
from vmm.errors import UsageError

COLOURS: Mapping[str, str] = {
    Technique.TRAP: "#c44e52",
    Technique.INLINE: "#8172b2",
    Technique.NATIVE: "#55a868",
    Technique.PARAVIRTUAL: "#4c72b0",
    QEMU: "#999999",
}
_BAR, _GAP, _TOP, _LEFT, _SCALE, _RIGHT = 8, 6, 60, 180, 640, 90
_INK = "#222222"


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Words:
    """Text whose middle is at `y`; it ends at `x` if `right`, or else begins there."""

    x: float
    y: float
    text: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is to be drawn, in pixels."""

    width: int
    height: int
    boxes: Sequence[Box]
    words: Sequence[Words]


def draw(rows: Sequence[Row]) -> Drawing:
    """Bars of ns per event where time was measured, of modelled cycles where it was not."""
    timed = any(row.time for row in rows)
    kernels: dict[str, dict[str, float]] = {}
    for row in rows:
        bars = kernels.setdefault(row.kernel.name, {})
        bars[row.technique] = _value(row, timed)
        if row.qemu_time:
            bars[QEMU] = row.qemu_time.ns.median
    longest = max((value for bars in kernels.values() for value in bars.values()), default=1.0)
    decades = max(1, math.ceil(math.log10(max(longest, 10.0))))
    boxes: list[Box] = []
    words = [Words(10, 16, f"{'ns' if timed else 'modelled cycles'} per event, logarithmic")]
    _legend(boxes, words)
    y = float(_TOP)
    for name, bars in kernels.items():
        words.append(Words(_LEFT - 8, y + _BAR * len(bars) / 2, name, right=True))
        for technique, value in bars.items():
            width = _SCALE * math.log10(max(value, 1.0)) / decades
            boxes.append(Box(_LEFT, y, max(width, 1.0), _BAR - 1, COLOURS[technique]))
            words.append(Words(_LEFT + max(width, 1.0) + 4, y + _BAR / 2, f"{value:.1f}"))
            y += _BAR
        y += _GAP
    return Drawing(_LEFT + _SCALE + _RIGHT, math.ceil(y) + 10, boxes, words)


def _value(row: Row, timed: bool) -> float:
    if timed:
        return row.time.ns.median if row.time else 0.0
    return row.exact.counters["cycles"] / EVENTS


def _legend(boxes: list[Box], words: list[Words]) -> None:
    for number, (name, colour) in enumerate(COLOURS.items()):
        x = 10 + 120 * number
        boxes.append(Box(x, 30, 10, 10, colour))
        words.append(Words(x + 14, 35, str(name)))


def to_svg(drawing: Drawing) -> str:
    """As an SVG element."""
    size = f'width="{drawing.width}" height="{drawing.height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="9">',
        f'<rect {size} fill="white"/>',
    ]
    lines += [
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'fill="{box.colour}"/>'
        for box in drawing.boxes
    ]
    lines += [
        f'<text x="{one.x:.1f}" y="{one.y + 3:.1f}" fill="{_INK}"'
        f"{' text-anchor=' + chr(34) + 'end' + chr(34) if one.right else ''}>{escape(one.text)}</text>"
        for one in drawing.words
    ]
    return "\n".join([*lines, "</svg>\n"])


def to_html(drawing: Drawing) -> str:
    """As a page."""
    return f'<!doctype html>\n<meta charset="utf-8">\n<title>vmm bench traps</title>\n{to_svg(drawing)}'


def to_png(drawing: Drawing) -> bytes:
    """As PNG bytes."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 (slow to load)

    image = Image.new("RGB", (drawing.width, drawing.height), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=9)
    for box in drawing.boxes:
        pen.rectangle((box.x, box.y, box.x + box.width, box.y + box.height), fill=box.colour)
    for one in drawing.words:
        pen.text((one.x, one.y), one.text, fill=_INK, font=font, anchor="rm" if one.right else "lm")
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


_FORMATS: Mapping[str, Callable[[Drawing], str | bytes]] = {".svg": to_svg, ".html": to_html, ".png": to_png}


def check_format(path: Path) -> None:
    """UsageError for a file that no format is known for."""
    if path.suffix not in _FORMATS:
        raise UsageError(f"{path}: a plot is {', '.join(_FORMATS)}; name the file so")


def render(rows: Sequence[Row], path: Path) -> bytes:
    """The picture in the format that the name of `path` asks for."""
    made = _FORMATS[path.suffix](draw(rows))
    return made.encode() if isinstance(made, str) else made
