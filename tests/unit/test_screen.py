"""Proves that a VGA text screen becomes the right text and dots: fonts, colours, cursor, blinking."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from vmm.console import font
from vmm.console.screen import TextScreen, render_image, render_png, render_text
from vmm.errors import UsageError

PALETTE = [(16 * n, 255 - 16 * n, n) for n in range(16)]


def screen(
    text: str = "", attribute: int = 0x07, columns: int = 4, rows: int = 2, **more: object
) -> TextScreen:
    cells = [byte | attribute << 8 for byte in text.encode("cp437").ljust(columns * rows)]
    return TextScreen(cells=cells, columns=columns, rows=rows, palette=PALETTE, **more)  # type: ignore[arg-type]


def plane(glyphs: dict[int, bytes], offset: int = 0) -> bytes:
    out = bytearray(65536)
    for char, lines in glyphs.items():
        out[offset + char * 32 : offset + char * 32 + len(lines)] = lines
    return bytes(out)


def rows_of(image: Image.Image, column: int, row: int, width: int, height: int = 16) -> list[list[int]]:
    dots = image.crop((column * width, row * height, (column + 1) * width, (row + 1) * height)).tobytes()
    return [list(dots[at : at + width]) for at in range(0, width * height, width)]


def test_text_drops_blanks_at_line_ends() -> None:
    assert render_text(screen("ab  cd")) == "ab\ncd"


def test_text_knows_the_line_drawing_characters() -> None:
    assert render_text(screen("╔═╗ ╚═╝")) == "╔═╗\n╚═╝"


def test_text_shows_character_0_as_blank() -> None:
    assert render_text(TextScreen([0x700, 0x741], 2, 1, PALETTE)) == " A"


def test_every_character_has_one_unicode_character() -> None:
    assert len(font.CP437) == 256
    assert len(set(font.CP437)) == 254  # 0, 32 and 255 are blank


def test_text_of_a_graphics_mode_is_empty() -> None:
    assert render_text(TextScreen([], 0, 0, PALETTE)) == ""


def test_picture_of_a_graphics_mode_is_refused() -> None:
    with pytest.raises(UsageError, match="graphics mode"):
        render_image(TextScreen([], 0, 0, PALETTE))


def test_guest_glyph_is_drawn_dot_for_dot() -> None:
    image = render_image(screen("A", 0x1E, cell_width=8), plane({ord("A"): bytes([0x81, 0x42])}))
    assert rows_of(image, 0, 0, 8)[:3] == [
        [14, 1, 1, 1, 1, 1, 1, 14],
        [1, 14, 1, 1, 1, 1, 14, 1],
        [1] * 8,
    ]


def test_ninth_dot_repeats_only_in_line_graphics() -> None:
    image = render_image(screen("─A"), plane({0xC4: b"\xff", ord("A"): b"\xff"}))
    assert rows_of(image, 0, 0, 9)[0] == [7] * 9
    assert rows_of(image, 1, 0, 9)[0] == [7] * 8 + [0]


def test_attribute_bit_3_chooses_the_second_font() -> None:
    both = bytearray(plane({ord("A"): b"\x80"}))
    both[0x4000:0x6000] = plane({ord("A"): b"\x01"})[:0x2000]
    image = render_image(screen("A", 0x0F, cell_width=8, fonts=(0, 0x4000)), bytes(both))
    assert rows_of(image, 0, 0, 8)[0] == [0] * 7 + [15]


def test_cursor_fills_its_lines_in_the_foreground() -> None:
    image = render_image(screen("", 0x17, cell_width=8, cursor=5), plane({1: b"\xff"}))
    dots = rows_of(image, 1, 1, 8)
    assert dots[12] == [1] * 8
    assert dots[13] == dots[14] == [7] * 8
    assert dots[15] == [1] * 8


def test_hidden_phase_of_the_cursor_shows_nothing() -> None:
    image = render_image(screen("", cell_width=8, cursor=0, cursor_shown=False), plane({1: b"\xff"}))
    assert image.getextrema() == (0, 0)


def test_blinking_character_disappears_in_its_phase() -> None:
    glyph = plane({ord("A"): b"\xff"})
    assert (
        rows_of(render_image(screen("A", 0x97, cell_width=8, blink_shown=False), glyph), 0, 0, 8)[0]
        == [1] * 8
    )
    assert (
        rows_of(render_image(screen("A", 0x97, cell_width=8, blink_shown=True), glyph), 0, 0, 8)[0] == [7] * 8
    )


def test_without_blinking_bit_7_is_a_bright_background() -> None:
    image = render_image(screen("", 0x97, cell_width=8, blinks=False), plane({1: b"\xff"}))
    assert image.getextrema() == (9, 9)


def test_blanked_display_is_colour_0() -> None:
    assert render_image(screen("AAAA", on=False)).getextrema() == (0, 0)


def test_built_in_font_is_used_when_the_plane_is_empty() -> None:
    assert render_png(screen("Hi"), bytes(65536)) == render_png(screen("Hi"), None)


def test_built_in_letters_differ_and_fit() -> None:
    glyphs = [font.builtin()[n * 32 : n * 32 + 32] for n in range(256)]
    assert len({glyphs[n] for n in range(33, 127)}) == 94
    assert all(glyph[16:] == bytes(16) for glyph in glyphs)


def test_built_in_boxes_meet_at_the_cell_edges() -> None:
    lines = {char: font.builtin()[font.CP437.index(char) * 32 :][:16] for char in "┌└│─╔║═╬"}
    assert lines["┌"][15] == lines["│"][0] == lines["└"][0]
    assert lines["╔"][15] == lines["║"][0] == lines["╬"][0]
    assert [row & 1 for row in lines["╔"]] == [row >> 7 for row in lines["═"]]
    assert [row & 1 for row in lines["┌"]] == [row >> 7 for row in lines["─"]]


def test_png_has_the_palette_s_colours() -> None:
    image = Image.open(io.BytesIO(render_png(screen("", 0x20)))).convert("RGB")
    assert image.size == (36, 32)
    assert image.getpixel((0, 0)) == PALETTE[2]
