/* VGA registers and state, shared by the vga*.c files only. Indices and bits: IBM VGA, as in every data
 * sheet of a compatible chip. */
#ifndef VMK_DEV_VGA_REGS_H
#define VMK_DEV_VGA_REGS_H

#include "core/dev.h"
#include "dev/vga.h"

enum { SEQ_CLOCKING = 1, SEQ_MAP_MASK = 2, SEQ_FONT = 3, SEQ_MEMORY = 4, SEQ_REGS = 8 };
#define SEQ_CLOCKING_8_DOTS 0x01
#define SEQ_CLOCKING_OFF 0x20
#define SEQ_MEMORY_SEQUENTIAL 0x04 /* clear: odd addresses go to odd planes */
#define SEQ_MEMORY_CHAIN4 0x08

enum {
    GR_SET_RESET, GR_ENABLE, GR_COMPARE, GR_ROTATE, GR_READ_MAP, GR_MODE, GR_MISC, GR_DONT_CARE, GR_BIT_MASK,
    GR_REGS = 16,
};
#define GR_MODE_READ_COMPARE 0x08
#define GR_MODE_READ_ODD_EVEN 0x10
#define GR_MISC_GRAPHICS 0x01

enum { ATTR_MODE = 0x10, ATTR_COLOUR_SELECT = 0x14, ATTR_REGS = 32 };
#define ATTR_MODE_LINE_GRAPHICS 0x04
#define ATTR_MODE_BLINK 0x08
#define ATTR_MODE_PALETTE_HIGH 0x80
#define ATTR_INDEX_DISPLAY 0x20

enum {
    CRTC_H_END = 0x01, CRTC_OVERFLOW = 0x07, CRTC_MAX_SCAN = 0x09, CRTC_CURSOR_START = 0x0a,
    CRTC_CURSOR_END = 0x0b, CRTC_START_HIGH = 0x0c, CRTC_START_LOW = 0x0d, CRTC_CURSOR_HIGH = 0x0e,
    CRTC_CURSOR_LOW = 0x0f, CRTC_V_RETRACE_END = 0x11,
    CRTC_V_END = 0x12, CRTC_OFFSET = 0x13, CRTC_REGS = 0x19,
};

#define MISC_COLOUR 0x01 /* the CRTC answers at 0x3Dx, else at 0x3Bx */

struct vga {
    uint8_t plane[4][VGA_PLANE_BYTES];
    uint8_t dac[256 * 3];
    uint8_t crtc[32], attr[ATTR_REGS], gr[GR_REGS], seq[SEQ_REGS];
    uint8_t latch[4];
    uint8_t seq_index, gr_index, crtc_index, attr_index;
    uint8_t attr_data;  /* the next write to 0x3C0 is data */
    uint8_t misc, feature;
    uint8_t dac_mask, dac_index, dac_component, dac_reading;
};

/* vga_memory.c; off is relative to 0xA0000 */
uint8_t vga_memory_read(struct vga *v, uint32_t off);
void vga_memory_write(struct vga *v, uint32_t off, uint8_t value);

#endif
