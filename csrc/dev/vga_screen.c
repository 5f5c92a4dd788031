/* What the VGA shows in a text mode: geometry, cells, cursor, fonts and colours from its registers.
 *
 * Follows the IBM VGA's CRT and attribute controllers. Every address is wrapped into its plane before use.
 * Leaves out: split screens (line compare), panning and row scan offsets, underlining (monochrome only),
 * graphics modes. */
#include <string.h>

#include "core/board.h"
#include "dev/vga_regs.h"

#define CURSOR_OFF 0x20
#define FRAME_NS 14268000ull /* 70 Hz */
#define CURSOR_BLINK_FRAMES 16
#define TEXT_BLINK_FRAMES 32

static unsigned start_address(const struct vga *v)
{
    return v->crtc[CRTC_START_HIGH] << 8 | v->crtc[CRTC_START_LOW];
}

/* Characters from one row to the next. */
static unsigned pitch(const struct vga *v)
{
    return v->crtc[CRTC_OFFSET] * 2u;
}

static void read_geometry(const struct vga *v, struct vga_screen *s)
{
    unsigned overflow = v->crtc[CRTC_OVERFLOW];
    unsigned lines = (v->crtc[CRTC_V_END] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1;
    s->cell_width = v->seq[SEQ_CLOCKING] & SEQ_CLOCKING_8_DOTS ? 8 : 9;
    s->cell_height = (v->crtc[CRTC_MAX_SCAN] & 0x1f) + 1;
    if (v->crtc[CRTC_MAX_SCAN] & 0x80)
        lines /= 2;
    if (v->gr[GR_MISC] & GR_MISC_GRAPHICS)
        return;
    s->cols = v->crtc[CRTC_H_END] + 1u;
    s->rows = lines / s->cell_height;
    if (s->rows > VGA_CELLS / s->cols)
        s->rows = VGA_CELLS / s->cols;
}

static void read_cells(const struct vga *v, const struct vga_screen *s, uint16_t *cells)
{
    for (unsigned row = 0; row < s->rows; row++) {
        for (unsigned col = 0; col < s->cols; col++) {
            unsigned at = (start_address(v) + row * pitch(v) + col) * 2 % VGA_PLANE_BYTES;
            *cells++ = (uint16_t)(v->plane[0][at] | v->plane[1][at] << 8);
        }
    }
}

static void read_cursor(const struct vga *v, struct vga_screen *s)
{
    unsigned at = v->crtc[CRTC_CURSOR_HIGH] << 8 | v->crtc[CRTC_CURSOR_LOW];
    unsigned from_start = (at - start_address(v)) & 0xffff;
    s->cursor = -1;
    s->cursor_first = v->crtc[CRTC_CURSOR_START] & 0x1f;
    s->cursor_last = v->crtc[CRTC_CURSOR_END] & 0x1f;
    bool hidden = v->crtc[CRTC_CURSOR_START] & CURSOR_OFF;
    if (hidden || s->cursor_first > s->cursor_last || s->cursor_first >= s->cell_height || !pitch(v))
        return;
    unsigned row = from_start / pitch(v), col = from_start % pitch(v);
    if (row < s->rows && col < s->cols)
        s->cursor = (int32_t)(row * s->cols + col);
}

/* Character map select: three bits per font, the high one apart. */
static void read_fonts(const struct vga *v, struct vga_screen *s)
{
    static const uint16_t base[8] = {0x0000, 0x4000, 0x8000, 0xc000, 0x2000, 0x6000, 0xa000, 0xe000};
    unsigned r = v->seq[SEQ_FONT];
    s->font[0] = base[(r & 3) | (r >> 4 & 1) << 2];
    s->font[1] = base[(r >> 2 & 3) | (r >> 5 & 1) << 2];
}

static unsigned dac_index(const struct vga *v, unsigned colour)
{
    unsigned select = v->attr[ATTR_COLOUR_SELECT], index = v->attr[colour] & 0x3f;
    if (v->attr[ATTR_MODE] & ATTR_MODE_PALETTE_HIGH)
        index = (index & 0x0f) | (select & 3) << 4;
    return (index | (select & 0x0c) << 4) & v->dac_mask;
}

static void read_palette(const struct vga *v, struct vga_screen *s)
{
    for (unsigned colour = 0; colour < VGA_COLOURS; colour++) {
        for (unsigned c = 0; c < 3; c++) {
            unsigned six = v->dac[dac_index(v, colour) * 3 + c];
            s->palette[colour][c] = (uint8_t)(six << 2 | six >> 4);
        }
    }
}

void vga_read_screen(struct dev *d, struct vga_screen *s, uint16_t *cells)
{
    const struct vga *v = d->state;
    uint64_t frame = board_now(d->board) / FRAME_NS;
    memset(s, 0, sizeof(*s));
    read_geometry(v, s);
    read_cells(v, s, cells);
    read_cursor(v, s);
    read_fonts(v, s);
    read_palette(v, s);
    s->on = !(v->seq[SEQ_CLOCKING] & SEQ_CLOCKING_OFF) && (v->attr_index & ATTR_INDEX_DISPLAY);
    s->blinks = v->attr[ATTR_MODE] & ATTR_MODE_BLINK;
    s->repeats_line_graphics = v->attr[ATTR_MODE] & ATTR_MODE_LINE_GRAPHICS;
    s->cursor_shown = frame / (CURSOR_BLINK_FRAMES / 2) % 2 == 0;
    s->blink_shown = frame / (TEXT_BLINK_FRAMES / 2) % 2 == 0;
}

const uint8_t *vga_plane(struct dev *d, unsigned plane)
{
    struct vga *v = d->state;
    return plane < 4 ? v->plane[plane] : NULL;
}
