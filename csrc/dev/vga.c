/* The VGA: registers at 0x3B4..0x3DA, the memory window at 0xA0000, a PCI function that only names it.
 *
 * Follows the IBM VGA; powers up in mode 3, 80 x 25 characters of 16 lines, as firmware leaves it, because
 * kernels are also started without any. Memory addressing is in vga_memory.c, what the screen shows in
 * vga_screen.c. The function's device number belongs to no driver: the Bochs and VMware numbers would make
 * Linux load drivers for registers and frame buffers that are not here. Leaves out: VBE, the option ROM
 * (guests bring SeaVGABIOS through fw_cfg), monochrome emulation beyond the moved ports. */
#include "dev/vga.h"

#include <string.h>

#include "core/board.h"
#include "dev/vga_regs.h"
#include "io/pci.h"

/* Timing of mode 3: 449 lines of 31.778 us, 400 of them shown; a line shows for four fifths of its time. */
#define LINE_NS 31778
#define LINE_SHOWN_NS 25422
#define LINES 449
#define LINES_SHOWN 400
#define RETRACE_FIRST 412
#define RETRACE_LAST 413

static const struct pci_info vga_pci = {
    .vendor = 0x1234, .device = 0x1110, .class_code = 0x030000,
    .command = PCI_CMD_IO | PCI_CMD_MEMORY, /* the legacy ranges always answer */
};

struct vga_port {
    uint8_t (*read)(struct dev *d);
    void (*write)(struct dev *d, uint8_t value);
};

static struct vga *vga_of(struct dev *d)
{
    return d->state;
}

static uint8_t status_read(struct dev *d)
{
    uint64_t now = board_now(d->board);
    unsigned line = now / LINE_NS % LINES;
    bool hidden = line >= LINES_SHOWN || now % LINE_NS >= LINE_SHOWN_NS;
    bool retrace = line >= RETRACE_FIRST && line <= RETRACE_LAST;
    vga_of(d)->attr_data = 0;
    return (uint8_t)(hidden | retrace << 3);
}

static void feature_write(struct dev *d, uint8_t value)
{
    vga_of(d)->feature = value;
}

static uint8_t feature_read(struct dev *d)
{
    return vga_of(d)->feature;
}

static uint8_t attr_index_read(struct dev *d)
{
    return vga_of(d)->attr_index;
}

static uint8_t attr_read(struct dev *d)
{
    const struct vga *v = vga_of(d);
    return v->attr[v->attr_index % ATTR_REGS];
}

/* One port for index and data, by turns; reading the status port starts over. */
static void attr_write(struct dev *d, uint8_t value)
{
    struct vga *v = vga_of(d);
    if (v->attr_data)
        v->attr[v->attr_index % ATTR_REGS] = value;
    else
        v->attr_index = value & 0x3f;
    v->attr_data ^= 1;
}

static uint8_t zero_read(struct dev *d)
{
    (void)d;
    return 0;
}

static uint8_t misc_read(struct dev *d)
{
    return vga_of(d)->misc;
}

static void misc_write(struct dev *d, uint8_t value)
{
    vga_of(d)->misc = value;
}

static uint8_t seq_index_read(struct dev *d)
{
    return vga_of(d)->seq_index;
}

static void seq_index_write(struct dev *d, uint8_t value)
{
    vga_of(d)->seq_index = value % SEQ_REGS;
}

static uint8_t seq_read(struct dev *d)
{
    const struct vga *v = vga_of(d);
    return v->seq[v->seq_index % SEQ_REGS];
}

static void seq_write(struct dev *d, uint8_t value)
{
    struct vga *v = vga_of(d);
    v->seq[v->seq_index % SEQ_REGS] = value;
}

static uint8_t gr_index_read(struct dev *d)
{
    return vga_of(d)->gr_index;
}

static void gr_index_write(struct dev *d, uint8_t value)
{
    vga_of(d)->gr_index = value % GR_REGS;
}

static uint8_t gr_read(struct dev *d)
{
    const struct vga *v = vga_of(d);
    return v->gr[v->gr_index % GR_REGS];
}

static void gr_write(struct dev *d, uint8_t value)
{
    struct vga *v = vga_of(d);
    v->gr[v->gr_index % GR_REGS] = value;
}

static uint8_t crtc_index_read(struct dev *d)
{
    return vga_of(d)->crtc_index;
}

static void crtc_index_write(struct dev *d, uint8_t value)
{
    vga_of(d)->crtc_index = value & 0x1f;
}

static uint8_t crtc_read(struct dev *d)
{
    const struct vga *v = vga_of(d);
    return v->crtc_index < CRTC_REGS ? v->crtc[v->crtc_index] : 0;
}

/* Bit 7 of the retrace end register protects the timing, except the line compare bit in the overflow
 * register. */
static void crtc_write(struct dev *d, uint8_t value)
{
    struct vga *v = vga_of(d);
    uint8_t *reg = &v->crtc[v->crtc_index & 0x1f];
    bool protected = v->crtc_index <= CRTC_OVERFLOW && (v->crtc[CRTC_V_RETRACE_END] & 0x80);
    if (v->crtc_index >= CRTC_REGS || (protected && v->crtc_index != CRTC_OVERFLOW))
        return;
    *reg = protected ? (uint8_t)((*reg & ~0x10) | (value & 0x10)) : value;
}

static uint8_t dac_mask_read(struct dev *d)
{
    return vga_of(d)->dac_mask;
}

static void dac_mask_write(struct dev *d, uint8_t value)
{
    vga_of(d)->dac_mask = value;
}

static uint8_t dac_state_read(struct dev *d)
{
    return vga_of(d)->dac_reading ? 3 : 0;
}

static void dac_select(struct dev *d, uint8_t index, bool reading)
{
    struct vga *v = vga_of(d);
    v->dac_index = index;
    v->dac_component = 0;
    v->dac_reading = reading;
}

static void dac_read_index_write(struct dev *d, uint8_t value)
{
    dac_select(d, value, true);
}

static uint8_t dac_index_read(struct dev *d)
{
    return vga_of(d)->dac_index;
}

static void dac_write_index_write(struct dev *d, uint8_t value)
{
    dac_select(d, value, false);
}

/* Red, green, blue, then the next entry. */
static uint8_t *dac_next(struct vga *v)
{
    uint8_t *at = &v->dac[v->dac_index * 3 + v->dac_component % 3];
    v->dac_component = (v->dac_component + 1) % 3;
    v->dac_index += v->dac_component == 0;
    return at;
}

static uint8_t dac_read(struct dev *d)
{
    return *dac_next(vga_of(d));
}

static void dac_write(struct dev *d, uint8_t value)
{
    *dac_next(vga_of(d)) = value & 0x3f;
}

static const struct vga_port ports_3c0[16] = {
    [0x0] = {attr_index_read, attr_write}, [0x1] = {attr_read, NULL},
    [0x2] = {zero_read, misc_write},       [0x3] = {zero_read, NULL},
    [0x4] = {seq_index_read, seq_index_write}, [0x5] = {seq_read, seq_write},
    [0x6] = {dac_mask_read, dac_mask_write},   [0x7] = {dac_state_read, dac_read_index_write},
    [0x8] = {dac_index_read, dac_write_index_write}, [0x9] = {dac_read, dac_write},
    [0xa] = {feature_read, NULL},          [0xc] = {misc_read, NULL},
    [0xe] = {gr_index_read, gr_index_write}, [0xf] = {gr_read, gr_write},
};
static const struct vga_port ports_crtc[2] = {{crtc_index_read, crtc_index_write}, {crtc_read, crtc_write}};
static const struct vga_port ports_status[1] = {{status_read, feature_write}};

/* The CRTC and status ports exist twice; MISC_COLOUR says which of the two answer. Regions of the port bus
 * are rows of this table. */
static const struct {
    uint16_t base, count;
    const struct vga_port *ports;
    enum { ALWAYS, IF_MONO, IF_COLOUR } when;
} port_rows[] = {
    {0x3b4, 2, ports_crtc, IF_MONO},   {0x3ba, 1, ports_status, IF_MONO}, {0x3c0, 16, ports_3c0, ALWAYS},
    {0x3d4, 2, ports_crtc, IF_COLOUR}, {0x3da, 1, ports_status, IF_COLOUR},
};
#define PORT_ROWS (sizeof(port_rows) / sizeof(port_rows[0]))
#define MEMORY PORT_ROWS /* the region of 0xA0000..0xBFFFF */
#define MEMORY_BASE 0xa0000ull
#define MEMORY_SIZE 0x20000ull

static const struct vga_port *port_for(struct dev *d, unsigned region, uint64_t off)
{
    bool colour = vga_of(d)->misc & MISC_COLOUR;
    if (port_rows[region].when != ALWAYS && colour != (port_rows[region].when == IF_COLOUR))
        return NULL;
    return &port_rows[region].ports[off];
}

static uint8_t read_byte(struct dev *d, unsigned region, uint64_t off)
{
    if (region == MEMORY)
        return vga_memory_read(vga_of(d), (uint32_t)off);
    const struct vga_port *port = port_for(d, region, off);
    return port && port->read ? port->read(d) : 0xff;
}

static void write_byte(struct dev *d, unsigned region, uint64_t off, uint8_t value)
{
    if (region == MEMORY) {
        vga_memory_write(vga_of(d), (uint32_t)off, value);
        return;
    }
    const struct vga_port *port = port_for(d, region, off);
    if (port && port->write)
        port->write(d, value);
}

/* Every register is a byte; wider accesses are the same as several. */
static uint64_t vga_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read_byte(d, region, off + i) << (8 * i);
    return value;
}

static void vga_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        write_byte(d, region, off + i, (uint8_t)(value >> (8 * i)));
}

/* The 64 colours of the EGA: bits 2..0 are red, green, blue at two thirds, bits 5..3 at one third. */
static void default_dac(struct vga *v)
{
    for (unsigned i = 0; i < 64; i++)
        for (unsigned c = 0; c < 3; c++)
            v->dac[i * 3 + c] = (uint8_t)((i >> (2 - c) & 1) * 0x2a + (i >> (5 - c) & 1) * 0x15);
}

static void mode_3(struct vga *v)
{
    static const uint8_t seq[] = {0x03, 0x00, 0x03, 0x00, 0x02};
    static const uint8_t crtc[CRTC_REGS] = {
        0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
        0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
    };
    static const uint8_t attr[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
                                   0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};
    static const uint8_t gr[] = {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff};
    memcpy(v->seq, seq, sizeof(seq));
    memcpy(v->crtc, crtc, sizeof(crtc));
    memcpy(v->attr, attr, sizeof(attr));
    memcpy(v->gr, gr, sizeof(gr));
    v->misc = 0x67;
    v->attr_index = ATTR_INDEX_DISPLAY;
    v->dac_mask = 0xff;
}

static void vga_reset(struct dev *d)
{
    struct vga *v = vga_of(d);
    memset(v, 0, sizeof(*v));
    mode_3(v);
    default_dac(v);
    for (unsigned i = 0; i < VGA_PLANE_BYTES / 2; i += 2) { /* the window full of blanks, grey on black */
        v->plane[0][i] = ' ';
        v->plane[1][i] = 0x07;
    }
}

static int vga_init(struct dev *d)
{
    if (!pci_add(d->board, d, PCI_DEVFN(2, 0), &vga_pci))
        return VMK_EBUG;
    for (unsigned row = 0; row < PORT_ROWS; row++) {
        int rc = bus_claim_ports(d, row, port_rows[row].base, port_rows[row].count);
        if (rc < 0)
            return rc;
    }
    return bus_claim_mmio(d, MEMORY, MEMORY_BASE, MEMORY_SIZE);
}

static const struct state_field fields[] = {
    FIELD(struct vga, plane, uint8_t),
    FIELD(struct vga, dac, uint8_t),
    FIELD(struct vga, crtc, uint8_t),
    FIELD(struct vga, attr, uint8_t),
    FIELD(struct vga, gr, uint8_t),
    FIELD(struct vga, seq, uint8_t),
    FIELD(struct vga, latch, uint8_t),
    FIELD(struct vga, seq_index, uint8_t),
    FIELD(struct vga, gr_index, uint8_t),
    FIELD(struct vga, crtc_index, uint8_t),
    FIELD(struct vga, attr_index, uint8_t),
    FIELD(struct vga, attr_data, uint8_t),
    FIELD(struct vga, misc, uint8_t),
    FIELD(struct vga, feature, uint8_t),
    FIELD(struct vga, dac_mask, uint8_t),
    FIELD(struct vga, dac_index, uint8_t),
    FIELD(struct vga, dac_component, uint8_t),
    FIELD(struct vga, dac_reading, uint8_t),
};

const struct dev_class vga_class = {
    .name = "vga",
    .version = 1,
    .size = sizeof(struct vga),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .init = vga_init,
    .reset = vga_reset,
    .read = vga_read,
    .write = vga_write,
};
