/* The VGA's picture, for whoever draws it: the chip itself draws nothing. */
#ifndef VMK_DEV_VGA_H
#define VMK_DEV_VGA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dev;

#define VGA_PLANE_BYTES 65536
#define VGA_CELLS 16384 /* no text screen that is read out has more */
#define VGA_COLOURS 16

struct vga_screen {
    uint32_t cols, rows;         /* of text; 0 in a graphics mode, which is not rendered */
    uint32_t cell_width, cell_height; /* dots; width 8 or 9 */
    int32_t cursor;              /* row * cols + column, or -1: hidden or elsewhere */
    uint32_t cursor_first, cursor_last; /* its lines within the cell */
    uint32_t font[2]; /* offsets in plane 2 of the glyphs, 32 bytes each: attribute bit 3 clear, set */
    bool on;                     /* the display is not blanked */
    bool blinks;                 /* attribute bit 7 means blinking, else a bright background */
    bool repeats_line_graphics;  /* ninth dot of characters 0xC0..0xDF = eighth */
    bool blink_shown, cursor_shown; /* the blink phases at this moment */
    uint8_t palette[VGA_COLOURS][3]; /* red, green, blue, 0..255 */
};

/* Fills *screen, and cells[0 .. cols * rows) with character | attribute << 8; cells has room for
 * VGA_CELLS. */
void vga_read_screen(struct dev *d, struct vga_screen *screen, uint16_t *cells);

/* One of the four planes, VGA_PLANE_BYTES long; plane 2 holds the fonts. NULL for other numbers. */
const uint8_t *vga_plane(struct dev *d, unsigned plane);

#endif
