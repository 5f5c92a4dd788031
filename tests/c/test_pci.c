/* Proves PCI configuration: mechanism #1, the functions guests look for, BARs, INTx routing, PAM; probes
 * as Linux and SeaBIOS do. */
#include "check.h"
#include "chipset.h"

#include "io/pci.h"

enum { HOST = 0, ISA = 8, PM = 11, VGA = 16, NIC = 24 };

/* A card for the tests: it answers in its BARs with the region's number and remembers the last write. */
struct card {
    uint32_t last;
};

static struct pci_func *card_func;

static const struct pci_reg card_regs[] = {
    {0x40, 4, 0x00020001, 0, 0},
    {0x44, 4, 0, 0x0000ffff, 0x00ff0000},
};

static const struct pci_info card_info = {
    .vendor = 0x15ad, .device = 0x0001, .class_code = 0x020000, .int_pin = 1, .capabilities = 0x40,
    .bar = {{PCI_BAR_MEM32, 0x20000, 1}, {PCI_BAR_IO, 64, 2}, {PCI_BAR_MEM64, 0x1000, 3}},
    .regs = card_regs, .nregs = 2,
};

static int card_init(struct dev *d)
{
    card_func = pci_add(d->board, d, NIC, &card_info);
    return card_func ? VMK_OK : VMK_EBUG;
}

static uint64_t card_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    (void)d, (void)off, (void)size;
    return region;
}

static void card_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    (void)region, (void)off, (void)size;
    ((struct card *)d->state)->last = (uint32_t)value;
}

static const struct state_field card_fields[] = {FIELD(struct card, last, uint32_t)};
static const struct dev_class card_class = {
    .name = "card", .version = 1, .size = sizeof(struct card), .fields = card_fields, .nfields = 1,
    .init = card_init, .read = card_read, .write = card_write,
};

static void plug_card(void)
{
    CHECK(board_add(rig, &card_class) != NULL);
}

static void linux_finds_mechanism_1(void)
{
    bus_port_write(rig, 0xcfb, 1, 1);
    bus_port_write(rig, 0xcf8, 4, 0x80000000);
    CHECK_EQ(bus_port_read(rig, 0xcf8, 4), 0x80000000);
    CHECK_EQ(pci_read(HOST, 0x0a, 2), 0x0600);
}

static void partial_writes_leave_the_latch_alone(void)
{
    bus_port_write(rig, 0xcf8, 4, 0x80000840);
    bus_port_write(rig, 0xcf8, 1, 0xff);
    bus_port_write(rig, 0xcf8, 2, 0xffff);
    bus_port_write(rig, 0xcfa, 2, 0xffff);
    CHECK_EQ(bus_port_read(rig, 0xcf8, 4), 0x80000840);
    CHECK_EQ(rig->request, VMK_REQ_NONE);
}

static void byte_at_cf9_is_the_reset_register(void)
{
    bus_port_write(rig, 0xcf9, 1, 0x02);
    CHECK_EQ(bus_port_read(rig, 0xcf9, 1), 0x02);
    bus_port_write(rig, 0xcf9, 1, 0x06);
    CHECK_EQ(rig->request, VMK_REQ_RESET);
}

static void absent_functions_and_buses_read_all_ones(void)
{
    CHECK_EQ(pci_read(0xf8, 0, 4), 0xffffffff);
    CHECK_EQ(pci_read(0xf8, 0, 1), 0xff);
    bus_port_write(rig, 0xcf8, 4, 0x80010000);
    CHECK_EQ(bus_port_read(rig, 0xcfc, 4), 0xffffffff);
    bus_port_write(rig, 0xcf8, 4, 0x00000000);
    CHECK_EQ(bus_port_read(rig, 0xcfc, 2), 0xffff);
}

static void functions_have_the_ids_guests_know(void)
{
    static const struct { unsigned devfn; uint32_t id, class_code; } rows[] = {
        {HOST, 0x12378086, 0x06000002}, {ISA, 0x70008086, 0x06010000},
        {PM, 0x71138086, 0x06800003}, {VGA, 0x11101234, 0x03000000},
    };
    unsigned found = 0;
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(pci_read(rows[i].devfn, 0, 4), rows[i].id);
        CHECK_EQ(pci_read(rows[i].devfn, 8, 4), rows[i].class_code);
    }
    for (unsigned devfn = 0; devfn < 256; devfn++)
        found += pci_read(devfn, 0, 4) != 0xffffffff;
    CHECK_EQ(found, 4);
    CHECK_EQ(pci_read(ISA, 0x0e, 1), 0x80);
    CHECK_EQ(pci_read(PM, 0x0e, 1), 0);
}

static void identity_is_read_only_and_scratch_is_not(void)
{
    pci_write(ISA, 0, 4, 0);
    pci_write(ISA, 8, 4, 0);
    pci_write(PM, 0x3c, 2, 0x0305);
    CHECK_EQ(pci_read(ISA, 0, 4), 0x70008086);
    CHECK_EQ(pci_read(ISA, 8, 4), 0x06010000);
    CHECK_EQ(pci_read(PM, 0x3c, 2), 0x0105);
}

static void bytes_of_a_register_are_reached_through_cfc_to_cff(void)
{
    CHECK_EQ(pci_read(HOST, 0, 1), 0x86);
    CHECK_EQ(pci_read(HOST, 3, 1), 0x12);
    bus_port_write(rig, 0xcf8, 4, 0x80000000);
    /* Runs out of the window: the rest is nobody's. */
    CHECK_EQ(bus_port_read(rig, 0xcfe, 4) & 0xffff, 0x1237);
    CHECK_EQ(bus_port_read(rig, 0xcfe, 4) >> 16, 0xffff);
}

static void power_management_is_where_acpi_says(void)
{
    CHECK_EQ(pci_read(PM, 0x40, 4), 0x601);
    pci_write(PM, 0x40, 4, 0xb001);
    CHECK_EQ(pci_read(PM, 0x40, 4), 0x601);
    CHECK_EQ(pci_read(PM, 0x80, 1) & 1, 1);
    CHECK_EQ(pci_read(PM, 0x58, 4) & 1 << 25, 1 << 25);
    CHECK_EQ(pci_read(PM, 0x3c, 1), 9);
}

static void unimplemented_bars_read_zero(void)
{
    for (unsigned reg = 0x10; reg < 0x28; reg += 4) {
        pci_write(VGA, reg, 4, 0xffffffff);
        CHECK_EQ(pci_read(VGA, reg, 4), 0);
    }
    pci_write(VGA, 0x30, 4, 0xfffff800);
    CHECK_EQ(pci_read(VGA, 0x30, 4), 0);
}

static void bars_report_their_sizes(void)
{
    static const uint32_t want[6] = {0xfffe0000, 0xffffffc1, 0xfffff004, 0xffffffff, 0, 0};
    plug_card();
    for (unsigned i = 0; i < 6; i++) {
        pci_write(NIC, 0x10 + 4 * i, 4, 0xffffffff);
        CHECK_EQ(pci_read(NIC, 0x10 + 4 * i, 4), want[i]);
    }
}

static void bars_decode_only_while_enabled_and_follow_moves(void)
{
    plug_card();
    pci_write(NIC, 0x10, 4, 0xf0000000);
    pci_write(NIC, 0x14, 4, 0xc000);
    CHECK_EQ(bus_mmio_read(rig, 0xf0000000, 4), 0xffffffff);
    pci_write(NIC, 4, 2, 3);
    CHECK_EQ(bus_mmio_read(rig, 0xf001fffc, 4), 1);
    CHECK_EQ(bus_port_read(rig, 0xc03f, 1), 2);
    pci_write(NIC, 0x10, 4, 0xf1000000);
    CHECK_EQ(bus_mmio_read(rig, 0xf0000000, 4), 0xffffffff);
    CHECK_EQ(bus_mmio_read(rig, 0xf1000000, 4), 1);
    pci_write(NIC, 4, 2, 1);
    CHECK_EQ(bus_mmio_read(rig, 0xf1000000, 4), 0xffffffff);
    CHECK_EQ(bus_port_read(rig, 0xc000, 1), 2);
}

static void wide_bar_decodes_above_4_gib(void)
{
    plug_card();
    pci_write(NIC, 0x18, 4, 0x00001000);
    pci_write(NIC, 0x1c, 4, 0x00000080);
    pci_write(NIC, 4, 2, 2);
    CHECK_EQ(bus_mmio_read(rig, 0x8000001000, 4), 3);
}

static void bar_over_a_chip_stays_silent_until_it_moves(void)
{
    plug_card();
    pci_write(NIC, 0x10, 4, 0xfec00000);
    pci_write(NIC, 4, 2, 2);
    bus_mmio_write(rig, IOAPIC_BASE, 4, 1);
    CHECK_EQ(bus_mmio_read(rig, IOAPIC_BASE + 0x10, 4), 0x00170020);
    pci_write(NIC, 0x10, 4, 0xf0000000);
    CHECK_EQ(bus_mmio_read(rig, 0xf0000000, 4), 1);
    CHECK_EQ(bus_mmio_read(rig, IOAPIC_BASE + 0x10, 4), 0x00170020);
}

static void overlapping_bars_are_decided_by_the_registers_alone(void)
{
    plug_card();
    pci_write(NIC, 4, 2, 2);
    pci_write(NIC, 0x18, 4, 0xf0000000);
    CHECK_EQ(bus_mmio_read(rig, 0xf0000000, 4), 3);
    pci_write(NIC, 0x10, 4, 0xf0000000);
    CHECK_EQ(bus_mmio_read(rig, 0xf0000000, 4), 1);
    pci_write(NIC, 0x10, 4, 0xe0000000);
    CHECK_EQ(bus_mmio_read(rig, 0xf0000000, 4), 3);
}

static void capability_list_and_masks_come_from_the_table(void)
{
    plug_card();
    CHECK_EQ(pci_read(NIC, 6, 2) & 0x10, 0x10);
    CHECK_EQ(pci_read(NIC, 0x34, 1), 0x40);
    CHECK_EQ(pci_read(NIC, 0x40, 4), 0x00020001);
    pci_poke(card_func, 0x46, 1, 0xff);
    pci_write(NIC, 0x44, 4, 0x00f01234);
    CHECK_EQ(pci_read(NIC, 0x44, 4), 0x000f1234);
}

static void bus_mastering_gates_dma(void)
{
    plug_card();
    CHECK(!pci_may_dma(card_func));
    pci_write(NIC, 4, 2, 4);
    CHECK(pci_may_dma(card_func));
}

static void intx_goes_through_the_routing_registers(void)
{
    plug_card(); /* slot 3, INTA: PIRQC, line 11 */
    pci_intx(card_func, true);
    CHECK(rig_line(11));
    CHECK_EQ(pci_read(NIC, 6, 2) & 8, 8);
    pci_write(ISA, 0x62, 1, 5);
    CHECK(!rig_line(11) && rig_line(5));
    pci_write(ISA, 0x62, 1, 0x85);
    CHECK(!rig_line(5));
    pci_write(ISA, 0x60, 4, 0x0b0b0a0a);
    CHECK(rig_line(11));
    pci_intx(card_func, false);
    CHECK(!rig_line(11));
}

static void intx_disable_bit_holds_the_pin_low(void)
{
    plug_card();
    pci_intx(card_func, true);
    pci_write(NIC, 4, 2, 0x400);
    CHECK(!rig_line(11));
    CHECK_EQ(pci_read(NIC, 6, 2) & 8, 8);
    pci_write(NIC, 4, 2, 0);
    CHECK(rig_line(11));
}

static void routing_to_a_board_line_is_refused(void)
{
    plug_card();
    pci_intx(card_func, true);
    static const uint8_t board_lines[] = {0, 1, 2, 8, 13};
    for (unsigned i = 0; i < sizeof(board_lines); i++) {
        struct irq before = rig->irq;
        pci_write(ISA, 0x62, 1, 0x80);
        pci_write(ISA, 0x62, 1, board_lines[i]);
        CHECK_EQ(rig->irq.source[board_lines[i]], before.source[board_lines[i]]);
    }
}

static void pam_registers_switch_their_segments(void)
{
    pci_write(HOST, 0x59, 1, 0x00);
    CHECK_EQ(ram_read_offset(rig, 0xf0000), RAM_NOT_MEMORY);
    pci_write(HOST, 0x59, 1, 0x10);
    CHECK_EQ(ram_read_offset(rig, 0xfffff), 0xfffff);
    CHECK_EQ(ram_write_offset(rig, 0xf0000), RAM_NOT_MEMORY);
    pci_write(HOST, 0x5a, 1, 0x13);
    CHECK_EQ(ram_write_offset(rig, 0xc0000), 0xc0000);
    CHECK_EQ(ram_write_offset(rig, 0xc4000), RAM_NOT_MEMORY);
    CHECK_EQ(ram_read_offset(rig, 0xc4000), 0xc4000);
    pci_write(HOST, 0x5f, 1, 0x20);
    CHECK_EQ(ram_write_offset(rig, 0xec000), 0xec000);
    CHECK_EQ(ram_read_offset(rig, 0xe8000), RAM_NOT_MEMORY);
    CHECK(cpu_log.memory_changes > 0);
}

static void seabios_shadow_sequence_reads_back(void)
{
    for (unsigned reg = 0x5a; reg <= 0x5f; reg++)
        pci_write(HOST, reg, 1, 0x33);
    pci_write(HOST, 0x59, 1, 0x30);
    CHECK_EQ(pci_read(HOST, 0x58, 4), 0x33333000);
    pci_write(HOST, 0x72, 1, 0x4a);
    CHECK_EQ(pci_read(HOST, 0x72, 1), 0x4a);
}

static void segments_are_ram_without_a_rom_and_rom_with_one(void)
{
    static uint8_t rom[65536];
    CHECK_EQ(pci_read(HOST, 0x59, 1), 0x30);
    CHECK_EQ(pci_read(HOST, 0x5c, 1), 0x33);
    CHECK_EQ(ram_set_rom(rig, rom, sizeof(rom)), VMK_OK);
    board_reset(rig);
    CHECK_EQ(pci_read(HOST, 0x59, 1), 0);
    CHECK_EQ(ram_write_offset(rig, 0xf0000), RAM_NOT_MEMORY);
}

static void reset_closes_bars_and_lowers_pins(void)
{
    plug_card();
    pci_write(NIC, 0x10, 4, 0xf0000000);
    pci_write(NIC, 4, 2, 2);
    pci_intx(card_func, true);
    board_reset(rig);
    CHECK_EQ(pci_read(NIC, 4, 2), 0);
    CHECK_EQ(pci_read(NIC, 0x10, 4), 0);
    CHECK_EQ(bus_mmio_read(rig, 0xf0000000, 4), 0xffffffff);
    CHECK(!rig_line(11));
}

static void restore_reopens_bars_and_raises_pins(void)
{
    plug_card();
    pci_write(NIC, 0x10, 4, 0xf0000000);
    pci_write(NIC, 4, 2, 2);
    pci_intx(card_func, true);
    size_t size = board_state_size(rig);
    uint8_t *bytes = malloc(size);
    board_state_save(rig, bytes);
    rig_end();
    chipset_begin(1);
    plug_card();
    CHECK_EQ(board_state_load(rig, bytes, size), VMK_OK);
    free(bytes);
    CHECK_EQ(bus_mmio_read(rig, 0xf0000000, 4), 1);
    CHECK(rig_line(11));
}

static void taken_slots_and_bad_tables_are_refused(void)
{
    static const struct pci_info odd = {.bar = {{PCI_BAR_MEM32, 0x1001, 0}}};
    static const struct pci_info half = {.bar = {[5] = {PCI_BAR_MEM64, 0x1000, 0}}};
    struct dev *d = board_find(rig, "vga", 0);
    CHECK(!pci_add(rig, d, VGA, &card_info));
    CHECK(!pci_add(rig, d, 0x40, &odd));
    CHECK(!pci_add(rig, d, 0x40, &half));
    CHECK(!pci_add(rig, d, 0x100, &card_info));
}

int main(void)
{
    RUN_ON(1, linux_finds_mechanism_1);
    RUN_ON(1, partial_writes_leave_the_latch_alone);
    RUN_ON(1, byte_at_cf9_is_the_reset_register);
    RUN_ON(1, absent_functions_and_buses_read_all_ones);
    RUN_ON(1, functions_have_the_ids_guests_know);
    RUN_ON(1, identity_is_read_only_and_scratch_is_not);
    RUN_ON(1, bytes_of_a_register_are_reached_through_cfc_to_cff);
    RUN_ON(1, power_management_is_where_acpi_says);
    RUN_ON(1, unimplemented_bars_read_zero);
    RUN_ON(1, bars_report_their_sizes);
    RUN_ON(1, bars_decode_only_while_enabled_and_follow_moves);
    RUN_ON(1, wide_bar_decodes_above_4_gib);
    RUN_ON(1, bar_over_a_chip_stays_silent_until_it_moves);
    RUN_ON(1, overlapping_bars_are_decided_by_the_registers_alone);
    RUN_ON(1, capability_list_and_masks_come_from_the_table);
    RUN_ON(1, bus_mastering_gates_dma);
    RUN_ON(1, intx_goes_through_the_routing_registers);
    RUN_ON(1, intx_disable_bit_holds_the_pin_low);
    RUN_ON(1, routing_to_a_board_line_is_refused);
    RUN_ON(1, pam_registers_switch_their_segments);
    RUN_ON(1, seabios_shadow_sequence_reads_back);
    RUN_ON(1, segments_are_ram_without_a_rom_and_rom_with_one);
    RUN_ON(1, reset_closes_bars_and_lowers_pins);
    RUN_ON(1, restore_reopens_bars_and_raises_pins);
    RUN_ON(1, taken_slots_and_bad_tables_are_refused);
    return check_done();
}
