/* Proves the VGA: text at power-on, registers, memory modes, font loading, retrace timing, and what the
 * screen reader makes of it. */
#include "check.h"
#include "chipset.h"

#include "dev/vga.h"

static struct vga_screen screen;
static uint16_t cells[VGA_CELLS];

static uint8_t mem_read(uint32_t addr) { return (uint8_t)bus_mmio_read(rig, addr, 1); }
static void mem_write(uint32_t addr, uint8_t value) { bus_mmio_write(rig, addr, 1, value); }

static void look(void)
{
    vga_read_screen(board_find(rig, "vga", 0), &screen, cells);
}

static const uint8_t *plane(unsigned n)
{
    return vga_plane(board_find(rig, "vga", 0), n);
}

static void set(uint16_t port, uint8_t index, uint8_t value)
{
    bus_port_write(rig, port, 2, (uint32_t)value << 8 | index);
}

static uint8_t get(uint16_t port, uint8_t index)
{
    out8(port, index);
    return in8(port + 1);
}

static void set_attr(uint8_t index, uint8_t value)
{
    in8(0x3da);
    out8(0x3c0, index);
    out8(0x3c0, value);
}

static void powers_up_as_blank_80_by_25(void)
{
    look();
    CHECK_EQ(screen.cols, 80);
    CHECK_EQ(screen.rows, 25);
    CHECK_EQ(screen.cell_width, 9);
    CHECK_EQ(screen.cell_height, 16);
    CHECK(screen.on && screen.blinks && screen.repeats_line_graphics);
    CHECK_EQ(cells[0], 0x0720);
    CHECK_EQ(cells[80 * 25 - 1], 0x0720);
    CHECK_EQ(screen.cursor, 0);
    CHECK_EQ(screen.cursor_first, 13);
    CHECK_EQ(screen.cursor_last, 14);
}

static void words_at_b8000_are_cells(void)
{
    bus_mmio_write(rig, 0xb8000 + 2 * 81, 2, 0x1e41);
    bus_mmio_write(rig, 0xb8000 + 2 * 82, 4, 0x1f431f42);
    look();
    CHECK_EQ(cells[81], 0x1e41);
    CHECK_EQ(cells[82], 0x1f42);
    CHECK_EQ(cells[83], 0x1f43);
    CHECK_EQ(bus_mmio_read(rig, 0xb8000 + 2 * 81, 2), 0x1e41);
}

static void linux_probe_of_two_words_works(void)
{
    uint64_t first = bus_mmio_read(rig, 0xb8000, 2), second = bus_mmio_read(rig, 0xb8002, 2);
    bus_mmio_write(rig, 0xb8000, 2, 0xaa55);
    bus_mmio_write(rig, 0xb8002, 2, 0x55aa);
    CHECK_EQ(bus_mmio_read(rig, 0xb8000, 4), 0x55aaaa55);
    bus_mmio_write(rig, 0xb8000, 2, first);
    bus_mmio_write(rig, 0xb8002, 2, second);
    CHECK_EQ(bus_mmio_read(rig, 0xb8000, 4), 0x07200720);
}

static void other_windows_are_silent_in_text_mode(void)
{
    mem_write(0xa0000, 0x55);
    mem_write(0xb0000, 0x55);
    CHECK_EQ(mem_read(0xa0000), 0xff);
    CHECK_EQ(mem_read(0xb0000), 0xff);
    CHECK_EQ(mem_read(0xb8000), 0x20);
}

static void cursor_follows_its_registers(void)
{
    set(0x3d4, 0x0e, 0x01);
    set(0x3d4, 0x0f, 0x23);
    look();
    CHECK_EQ(screen.cursor, 0x123);
    set(0x3d4, 0x0a, 0x20);
    look();
    CHECK_EQ((uint32_t)screen.cursor, UINT32_MAX);
    set(0x3d4, 0x0a, 0x0d);
    set(0x3d4, 0x0e, 0xff);
    set(0x3d4, 0x0f, 0xff);
    look();
    CHECK_EQ((uint32_t)screen.cursor, UINT32_MAX);
}

static void start_address_scrolls_and_wraps(void)
{
    bus_mmio_write(rig, 0xb8000 + 2 * 80, 2, 0x0741);
    set(0x3d4, 0x0d, 80);
    look();
    CHECK_EQ(cells[0], 0x0741);
    set(0x3d4, 0x0c, 0xff);
    set(0x3d4, 0x0d, 0xff);
    look();
    CHECK_EQ(cells[1 + 80], 0x0741);
}

static void crtc_protects_its_timing(void)
{
    CHECK_EQ(get(0x3d4, 0x11) & 0x80, 0x80);
    set(0x3d4, 0x01, 0x27);
    CHECK_EQ(get(0x3d4, 0x01), 0x4f);
    set(0x3d4, 0x07, 0x00);
    CHECK_EQ(get(0x3d4, 0x07), 0x0f);
    set(0x3d4, 0x11, 0x0e);
    set(0x3d4, 0x01, 0x27);
    look();
    CHECK_EQ(screen.cols, 40);
    set(0x3d4, 0x20, 0x55);
    CHECK_EQ(get(0x3d4, 0x19), 0);
}

static void fifty_rows_with_an_eight_line_font(void)
{
    set(0x3d4, 0x09, 0x47);
    look();
    CHECK_EQ(screen.rows, 50);
    CHECK_EQ(screen.cell_height, 8);
}

static void misc_register_moves_the_crtc(void)
{
    CHECK_EQ(in8(0x3cc), 0x67);
    CHECK_EQ(in8(0x3b5), 0xff);
    out8(0x3c2, 0x66);
    out8(0x3b4, 0x12);
    CHECK_EQ(in8(0x3b5), 0x8f);
    CHECK_EQ(in8(0x3d5), 0xff);
    CHECK_EQ(in8(0x3da), 0xff);
}

static void attribute_port_alternates_and_status_restarts_it(void)
{
    set_attr(0x01, 0x3a);
    in8(0x3da);
    out8(0x3c0, 0x01);
    CHECK_EQ(in8(0x3c1), 0x3a);
    in8(0x3da);
    out8(0x3c0, 0x00);
    look();
    CHECK(!screen.on);
    in8(0x3da);
    out8(0x3c0, 0x20);
    look();
    CHECK(screen.on);
}

static void dac_counts_components_and_entries(void)
{
    out8(0x3c8, 1);
    for (unsigned i = 0; i < 6; i++)
        out8(0x3c9, (uint8_t)(0xc0 | (10 + i)));
    CHECK_EQ(in8(0x3c7), 0);
    out8(0x3c7, 1);
    CHECK_EQ(in8(0x3c7), 3);
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(in8(0x3c9), 10 + i);
    out8(0x3c7, 255);
    for (unsigned i = 0; i < 4; i++)
        in8(0x3c9);
    CHECK_EQ(in8(0x3c8), 0);
}

static void palette_is_the_sixteen_pc_colours(void)
{
    static const uint8_t want[16][3] = {
        {0, 0, 0}, {0, 0, 170}, {0, 170, 0}, {0, 170, 170},
        {170, 0, 0}, {170, 0, 170}, {170, 85, 0}, {170, 170, 170},
        {85, 85, 85}, {85, 85, 255}, {85, 255, 85}, {85, 255, 255},
        {255, 85, 85}, {255, 85, 255}, {255, 255, 85}, {255, 255, 255},
    };
    look();
    CHECK(!memcmp(screen.palette, want, sizeof(want)));
    set_attr(0x07, 0x04);
    look();
    CHECK(!memcmp(screen.palette[7], want[4], 3));
}

/* As Linux's vgacon and GRUB load a font: sequential, plane 2, window at A0000. */
static void open_font_plane(void)
{
    set(0x3c4, 0x00, 0x01), set(0x3c4, 0x02, 0x04), set(0x3c4, 0x04, 0x07), set(0x3c4, 0x00, 0x03);
    set(0x3ce, 0x04, 0x02), set(0x3ce, 0x05, 0x00), set(0x3ce, 0x06, 0x00);
}

static void close_font_plane(void)
{
    set(0x3c4, 0x00, 0x01), set(0x3c4, 0x02, 0x03), set(0x3c4, 0x04, 0x03), set(0x3c4, 0x00, 0x03);
    set(0x3ce, 0x04, 0x00), set(0x3ce, 0x05, 0x10), set(0x3ce, 0x06, 0x0e);
}

static void font_goes_to_plane_2_and_leaves_the_text(void)
{
    bus_mmio_write(rig, 0xb8000, 2, 0x0741);
    open_font_plane();
    for (unsigned line = 0; line < 16; line++)
        mem_write(0xa0000 + 0x41 * 32 + line, (uint8_t)(0x80 + line));
    CHECK_EQ(mem_read(0xa0000 + 0x41 * 32 + 5), 0x85);
    close_font_plane();
    CHECK_EQ(plane(2)[0x41 * 32 + 15], 0x8f);
    CHECK_EQ(plane(2)[0x41 * 32 + 16], 0);
    look();
    CHECK_EQ(cells[0], 0x0741);
    CHECK_EQ(screen.font[0], 0);
    CHECK(plane(4) == NULL);
}

static void character_map_select_names_two_fonts(void)
{
    set(0x3c4, 0x03, 0x04);
    look();
    CHECK_EQ(screen.font[0], 0);
    CHECK_EQ(screen.font[1], 0x4000);
    set(0x3c4, 0x03, 0x13);
    look();
    CHECK_EQ(screen.font[0], 0xe000);
}

static void planar_write_modes_and_latches(void)
{
    set(0x3c4, 0x02, 0x0f), set(0x3c4, 0x04, 0x06), set(0x3ce, 0x05, 0x02), set(0x3ce, 0x06, 0x05);
    mem_write(0xa0000, 0x05); /* mode 2: colour 5 in all eight pixels */
    CHECK_EQ(plane(0)[0], 0xff);
    CHECK_EQ(plane(1)[0], 0x00);
    CHECK_EQ(plane(2)[0], 0xff);
    set(0x3ce, 0x08, 0x0f);
    mem_read(0xa0000);
    mem_write(0xa0000, 0x02); /* the right four pixels become colour 2 */
    CHECK_EQ(plane(0)[0], 0xf0);
    CHECK_EQ(plane(1)[0], 0x0f);
    set(0x3ce, 0x05, 0x01);
    mem_read(0xa0000);
    mem_write(0xa0001, 0xff); /* mode 1: latches */
    CHECK_EQ(plane(0)[1], 0xf0);
    CHECK_EQ(plane(1)[1], 0x0f);
    set(0x3ce, 0x05, 0x08), set(0x3ce, 0x02, 0x05), set(0x3ce, 0x07, 0x0f);
    CHECK_EQ(mem_read(0xa0000), 0xf0); /* read mode 1: where colour 5 is */
    set(0x3ce, 0x05, 0x00), set(0x3ce, 0x08, 0xff), set(0x3ce, 0x03, 0x19);
    mem_read(0xa0000);
    mem_write(0xa0000, 0x02); /* mode 0, rotate by 1, XOR */
    CHECK_EQ(plane(0)[0], 0xf1);
}

static void chain_4_spreads_bytes_over_planes(void)
{
    set(0x3c4, 0x02, 0x0f), set(0x3c4, 0x04, 0x0e), set(0x3ce, 0x05, 0x40), set(0x3ce, 0x06, 0x05);
    bus_mmio_write(rig, 0xa0004, 4, 0x44332211);
    CHECK_EQ(plane(0)[4], 0x11);
    CHECK_EQ(plane(3)[4], 0x44);
    CHECK_EQ(bus_mmio_read(rig, 0xa0004, 4), 0x44332211);
}

static void graphics_mode_has_no_text(void)
{
    set(0x3ce, 0x06, 0x05);
    look();
    CHECK_EQ(screen.cols, 0);
    CHECK_EQ(screen.rows, 0);
}

static void status_bits_follow_the_beam(void)
{
    unsigned retraces = 0, hidden = 0;
    bool was = false;
    for (unsigned i = 0; i < 100000; i++) { /* one simulated second */
        uint8_t status = in8(0x3da);
        retraces += (status & 8) && !was;
        was = status & 8;
        hidden += status & 1;
        rig_advance(10000);
    }
    CHECK_EQ(retraces, 70);
    CHECK(hidden > 20000 && hidden < 40000);
}

static void blink_phases_change_with_time(void)
{
    bool seen[2] = {false, false};
    for (unsigned i = 0; i < 20; i++) {
        look();
        seen[screen.cursor_shown] = true;
        rig_advance(50 * MS);
    }
    CHECK(seen[0] && seen[1]);
}

static void extreme_geometry_stays_in_bounds(void)
{
    set(0x3d4, 0x11, 0);
    set(0x3d4, 0x01, 0xff), set(0x3d4, 0x07, 0xff), set(0x3d4, 0x12, 0xff);
    set(0x3d4, 0x09, 0x00), set(0x3d4, 0x13, 0xff);
    set(0x3d4, 0x0c, 0xff), set(0x3d4, 0x0d, 0xff);
    look();
    CHECK_EQ(screen.cols, 256);
    CHECK_EQ(screen.rows, VGA_CELLS / 256);
    set(0x3d4, 0x13, 0);
    look();
    CHECK_EQ((uint32_t)screen.cursor, UINT32_MAX);
}

static void memory_survives_a_restore(void)
{
    bus_mmio_write(rig, 0xb8000, 2, 0x1e41);
    chipset_reborn();
    look();
    CHECK_EQ(cells[0], 0x1e41);
}

int main(void)
{
    RUN_ON(1, powers_up_as_blank_80_by_25);
    RUN_ON(1, words_at_b8000_are_cells);
    RUN_ON(1, linux_probe_of_two_words_works);
    RUN_ON(1, other_windows_are_silent_in_text_mode);
    RUN_ON(1, cursor_follows_its_registers);
    RUN_ON(1, start_address_scrolls_and_wraps);
    RUN_ON(1, crtc_protects_its_timing);
    RUN_ON(1, fifty_rows_with_an_eight_line_font);
    RUN_ON(1, misc_register_moves_the_crtc);
    RUN_ON(1, attribute_port_alternates_and_status_restarts_it);
    RUN_ON(1, dac_counts_components_and_entries);
    RUN_ON(1, palette_is_the_sixteen_pc_colours);
    RUN_ON(1, font_goes_to_plane_2_and_leaves_the_text);
    RUN_ON(1, character_map_select_names_two_fonts);
    RUN_ON(1, planar_write_modes_and_latches);
    RUN_ON(1, chain_4_spreads_bytes_over_planes);
    RUN_ON(1, graphics_mode_has_no_text);
    RUN_ON(1, status_bits_follow_the_beam);
    RUN_ON(1, blink_phases_change_with_time);
    RUN_ON(1, extreme_geometry_stays_in_bounds);
    RUN_ON(1, memory_survives_a_restore);
    return check_done();
}
