/* VGA memory as the CPU sees it: windows, odd/even and chained addressing, latches, write and read modes.
 *
 * Follows the IBM VGA's graphics controller. 64 KiB per plane, every address wraps within it. */
#include "dev/vga_regs.h"

static uint8_t rotated_right(uint8_t value, unsigned by)
{
    return (uint8_t)(value >> by | value << (8 - by));
}

static uint8_t spread(unsigned bits, unsigned plane)
{
    return bits >> plane & 1 ? 0xff : 0;
}

/* Is the byte at `off` in the window the guest chose? Its address within the window in *addr. */
static bool in_window(const struct vga *v, uint32_t off, uint32_t *addr)
{
    static const struct { uint32_t base, size; } windows[4] = {
        {0x00000, 0x20000}, {0x00000, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000},
    };
    unsigned w = v->gr[GR_MISC] >> 2 & 3;
    *addr = (off - windows[w].base) % VGA_PLANE_BYTES;
    /* The RAM enable bit of the miscellaneous register is not honoured: GRUB's firmware image leaves it clear
     * and draws. */
    return off >= windows[w].base && off - windows[w].base < windows[w].size;
}

static uint8_t combine(const struct vga *v, uint8_t value, uint8_t latch)
{
    switch (v->gr[GR_ROTATE] >> 3 & 3) {
    case 1:
        return value & latch;
    case 2:
        return value | latch;
    case 3:
        return value ^ latch;
    default:
        return value;
    }
}

/* What one plane gets, by write mode. */
static uint8_t plane_value(const struct vga *v, unsigned plane, uint8_t value)
{
    uint8_t rotated = rotated_right(value, v->gr[GR_ROTATE] & 7);
    uint8_t mask = v->gr[GR_BIT_MASK], latch = v->latch[plane], in;
    switch (v->gr[GR_MODE] & 3) {
    case 0:
        in = v->gr[GR_ENABLE] >> plane & 1 ? spread(v->gr[GR_SET_RESET], plane) : rotated;
        break;
    case 1:
        return latch;
    case 2:
        in = spread(value, plane);
        break;
    default:
        in = spread(v->gr[GR_SET_RESET], plane);
        mask &= rotated;
    }
    return (uint8_t)((combine(v, in, latch) & mask) | (latch & ~mask));
}

void vga_memory_write(struct vga *v, uint32_t off, uint8_t value)
{
    uint32_t addr;
    unsigned planes = v->seq[SEQ_MAP_MASK] & 0xf;
    if (!in_window(v, off, &addr))
        return;
    if (v->seq[SEQ_MEMORY] & SEQ_MEMORY_CHAIN4) {
        planes &= 1u << (addr & 3);
        addr &= ~3u;
    } else if (!(v->seq[SEQ_MEMORY] & SEQ_MEMORY_SEQUENTIAL)) {
        planes &= addr & 1 ? 0xa : 0x5;
        addr &= ~1u;
    }
    for (unsigned plane = 0; plane < 4; plane++)
        if (planes >> plane & 1)
            v->plane[plane][addr] = plane_value(v, plane, value);
}

/* Read mode 1: a bit per pixel whose colour equals the compare register in the planes that matter. */
static uint8_t compare(const struct vga *v)
{
    uint8_t differs = 0;
    for (unsigned plane = 0; plane < 4; plane++)
        if (v->gr[GR_DONT_CARE] >> plane & 1)
            differs |= v->latch[plane] ^ spread(v->gr[GR_COMPARE], plane);
    return (uint8_t)~differs;
}

uint8_t vga_memory_read(struct vga *v, uint32_t off)
{
    uint32_t addr;
    unsigned plane = v->gr[GR_READ_MAP] & 3;
    if (!in_window(v, off, &addr))
        return 0xff;
    if (v->seq[SEQ_MEMORY] & SEQ_MEMORY_CHAIN4) {
        plane = addr & 3;
        addr &= ~3u;
    } else if (v->gr[GR_MODE] & GR_MODE_READ_ODD_EVEN) {
        plane = (plane & 2) | (addr & 1);
        addr &= ~1u;
    }
    for (unsigned p = 0; p < 4; p++)
        v->latch[p] = v->plane[p][addr];
    return v->gr[GR_MODE] & GR_MODE_READ_COMPARE ? compare(v) : v->latch[plane];
}
