"""A VGA text screen as text and as a picture.

The chip (csrc/dev/vga_screen.c) reads its registers into a `TextScreen`; everything here is a pure function
of that and of plane 2, where guests keep their fonts.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from vmm.console import font
from vmm.errors import UsageError

Colour = tuple[int, int, int]

CHARACTER = 0xFF
FOREGROUND = 0x0F00
OTHER_FONT = 0x0800
BLINKING = 0x8000


@dataclass(frozen=True, slots=True)
class TextScreen:
    """One moment of the display.

    `cells` holds columns * rows words, character | attribute << 8, row by row. `cursor` is an index into it
    or None. `cursor_lines` are the first and last dot line of the cursor within its cell. `fonts` are the
    byte offsets in plane 2 of the glyphs for attribute bit 3 clear and set. Columns and rows are 0 in a
    graphics mode.
    """

    cells: Sequence[int]
    columns: int
    rows: int
    palette: Sequence[Colour]
    cell_width: int = 9
    cell_height: int = 16
    cursor: int | None = None
    cursor_lines: tuple[int, int] = (13, 14)
    fonts: tuple[int, int] = (0, 0)
    on: bool = True
    blinks: bool = True
    repeats_line_graphics: bool = True
    blink_shown: bool = True
    cursor_shown: bool = True


def render_text(screen: TextScreen) -> str:
    """The characters as Unicode, one line a row, without blanks at line ends. Empty in a graphics mode."""
    characters = "".join(font.CP437[cell & CHARACTER] for cell in screen.cells)
    rows = (
        characters[at : at + screen.columns]
        for at in range(0, screen.columns * screen.rows, screen.columns or 1)
    )
    return "\n".join(row.rstrip() for row in rows)


def render_png(screen: TextScreen, font_plane: bytes | None = None) -> bytes:
    """A PNG file, dot for dot as the display shows it. See `render_image`."""
    out = io.BytesIO()
    render_image(screen, font_plane).save(out, format="PNG")
    return out.getvalue()


def render_image(screen: TextScreen, font_plane: bytes | None = None) -> Image.Image:
    """The picture in 16 colours, columns * cell_width by rows * cell_height dots.

    `font_plane` is VGA plane 2 (65536 bytes); without it, or where the guest has not loaded a font, the
    built-in one is used. Raises `UsageError` in a graphics mode.
    """
    if not screen.columns or not screen.rows:
        raise UsageError(
            "the guest shows a graphics mode, which is not drawn: use a text mode for screenshots"
        )
    size = (screen.columns * screen.cell_width, screen.rows * screen.cell_height)
    dots = _dots(screen, font_plane) if screen.on else bytes(size[0] * size[1])
    image = Image.frombytes("P", size, dots)
    image.putpalette([component for colour in screen.palette for component in colour])
    return image


def _dots(screen: TextScreen, font_plane: bytes | None) -> bytes:
    glyphs = tuple(_glyphs(font_plane, offset) for offset in screen.fonts)
    out = bytearray()
    for row in range(screen.rows):
        first = row * screen.columns
        cells = [_cell(screen, at, glyphs) for at in range(first, first + screen.columns)]
        for line in range(screen.cell_height):
            out += b"".join(cell[line] for cell in cells)
    return bytes(out)


def _glyphs(font_plane: bytes | None, offset: int) -> bytes:
    size = font.GLYPHS * font.GLYPH_BYTES
    loaded = (font_plane or b"")[offset : offset + size]
    return loaded.ljust(size, b"\0") if any(loaded) else font.builtin()


def _cell(screen: TextScreen, at: int, glyphs: Sequence[bytes]) -> list[bytes]:
    """The dots of one cell, a byte (colour number) each, line by line."""
    cell = screen.cells[at]
    foreground, background = _colours(screen, cell)
    start = (cell & CHARACTER) * font.GLYPH_BYTES
    bits = list(glyphs[1 if cell & OTHER_FONT else 0][start : start + screen.cell_height])
    if at == screen.cursor and screen.cursor_shown:
        first, last = screen.cursor_lines
        bits[first : last + 1] = [0xFF] * len(bits[first : last + 1])
    ninth = screen.repeats_line_graphics and 0xC0 <= cell & CHARACTER <= 0xDF
    return [_line(byte, ninth, screen.cell_width, foreground, background) for byte in bits]


def _colours(screen: TextScreen, cell: int) -> tuple[int, int]:
    foreground = (cell & FOREGROUND) >> 8
    if not screen.blinks:
        return foreground, cell >> 12
    background = cell >> 12 & 7
    return (foreground if screen.blink_shown or not cell & BLINKING else background), background


def _line(byte: int, ninth: bool, width: int, foreground: int, background: int) -> bytes:
    dots = byte << 1 | (byte & 1 if ninth else 0)
    return bytes(foreground if dots >> (8 - x) & 1 else background for x in range(width))
