"""The screen's own 8x16 font, for guests that load none into the VGA.

Letters come from Pillow's built-in bitmap font. The line-drawing characters, which it lacks, are drawn from
their Unicode names ("BOX DRAWINGS DOUBLE DOWN AND HORIZONTAL"), the blocks and shades from a short table.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from PIL import ImageFont

GLYPHS = 256
GLYPH_BYTES = 32  # in VGA plane 2, whatever the character height
WIDTH = 8
HEIGHT = 16

_LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
CP437 = _LOW + bytes(range(32, 127)).decode("ascii") + "⌂" + bytes(range(128, 255)).decode("cp437") + " "
"""Unicode of each of the 256 VGA characters."""

_BLOCKS = {
    "░": [0x22, 0x88] * 8,
    "▒": [0x55, 0xAA] * 8,
    "▓": [0xDD, 0x77] * 8,
    "█": [0xFF] * 16,
    "▄": [0x00] * 8 + [0xFF] * 8,
    "▀": [0xFF] * 8 + [0x00] * 8,
    "▌": [0xF0] * 16,
    "▐": [0x0F] * 16,
    "■": [0x00] * 4 + [0x7E] * 8 + [0x00] * 4,
}
_UNKNOWN = [0x00, 0x00, 0x7E] + [0x42] * 10 + [0x7E, 0x00, 0x00]


@cache
def builtin() -> bytes:
    """Plane-2 layout: 256 glyphs of 32 bytes, one byte a line, the first 16 used."""
    return b"".join(bytes(_glyph(char)).ljust(GLYPH_BYTES, b"\0") for char in CP437)


def _glyph(char: str) -> list[int]:
    if char in _BLOCKS:
        return _BLOCKS[char]
    name = unicodedata.name(char, "")
    if name.startswith("BOX DRAWINGS"):
        return _box(_arms(name.removeprefix("BOX DRAWINGS ").split()))
    return _letter(char) if ord(char) < 256 else _UNKNOWN


def _letter(char: str) -> list[int]:
    mask = ImageFont.load_default_imagefont().getmask(char)
    width, height = mask.size
    rows = [0] * HEIGHT
    for y in range(min(height, HEIGHT - 2)):
        for x in range(min(width, WIDTH - 1)):
            if mask.getpixel((x, y)):
                rows[y + 2] |= 0x40 >> x
    return rows


def _arms(words: list[str]) -> dict[str, int]:
    """Strokes (1 or 2) to each side: "DOWN SINGLE AND LEFT DOUBLE", "LIGHT VERTICAL AND RIGHT", …"""
    strokes = 2 if "DOUBLE" in words else 1
    arms: dict[str, int] = {}
    mixed = "SINGLE" in words
    for at, word in enumerate(words):
        if word not in ("UP", "DOWN", "LEFT", "RIGHT", "VERTICAL", "HORIZONTAL"):
            continue
        weight = {"SINGLE": 1, "DOUBLE": 2}[words[at + 1]] if mixed else strokes
        for side in {"VERTICAL": ("UP", "DOWN"), "HORIZONTAL": ("LEFT", "RIGHT")}.get(word, (word,)):
            arms[side] = weight
    return arms


def _box(arms: dict[str, int]) -> list[int]:
    """Strokes run along columns 3 (or 2 and 5) and lines 7 (or 6 and 9) from an edge past the middle."""
    rows = [0] * HEIGHT
    columns = {1: (3,), 2: (2, 5)}
    lines = {1: (7,), 2: (6, 9)}
    reach_x = columns[max(arms.get("UP", 1), arms.get("DOWN", 1))]
    reach_y = lines[max(arms.get("LEFT", 1), arms.get("RIGHT", 1))]
    for side, span in (("UP", range(reach_y[-1] + 1)), ("DOWN", range(reach_y[0], HEIGHT))):
        for x in columns.get(arms.get(side, 0), ()):
            for y in span:
                rows[y] |= 0x80 >> x
    for side, reach in (("LEFT", range(reach_x[-1] + 1)), ("RIGHT", range(reach_x[0], WIDTH))):
        for y in lines.get(arms.get(side, 0), ()):
            for x in reach:
                rows[y] |= 0x80 >> x
    return rows
