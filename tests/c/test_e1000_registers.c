/* Proves the 8254x's registers: identity, BARs, reset, EEPROM, PHY, link, interrupts, statistics;
 * sequences as Linux' e1000 and iPXE's intel drivers use them. */
#include "check.h"
#include "e1000_rig.h"

static void the_default_is_what_vmware_shows(void)
{
    CHECK_EQ(pci_read(NIC, 0, 4), 0x100f8086);
    CHECK_EQ(pci_read(NIC, 0x2c, 4), 0x075015ad);
    CHECK_EQ(pci_read(NIC, 8, 4), 0x02000001);
    CHECK_EQ(pci_read(NIC, 0x3c, 2), 0x010b);
    pci_write(NIC, 0x10, 4, 0xffffffff);
    CHECK_EQ(pci_read(NIC, 0x10, 4), 0xfffe0004);
}

static void the_82540em_has_narrow_bars(void)
{
    CHECK_EQ(pci_read(NIC, 0, 4), 0x100e8086);
    pci_write(NIC, 0x10, 4, 0xffffffff), pci_write(NIC, 0x18, 4, 0xffffffff);
    CHECK_EQ(pci_read(NIC, 0x10, 4), 0xfffe0000);
    CHECK_EQ(pci_read(NIC, 0x18, 4), 0xffffffc1);
}

static void an_address_of_a_group_is_refused(void)
{
    struct vmk_config cfg = {.memory = 1 << 20, .cpus = 1, .time_mode = VMK_TIME_MANUAL, .nics = 1};
    char err[256] = "";
    cfg.nic[0].mac[0] = 1;
    CHECK(!board_create(&cfg, err, sizeof(err)));
    CHECK(strstr(err, "01:00:00:00:00:00") != NULL);
    cfg.nic[0].mac[0] = 2, cfg.nic[0].model = 7;
    CHECK(!board_create(&cfg, err, sizeof(err)));
    cfg.nic[0].model = 0, cfg.nics = 9;
    CHECK(!board_create(&cfg, err, sizeof(err)));
}

static void accesses_of_other_widths_reach_their_part(void)
{
    set(VET, 0x8100);
    CHECK_EQ(bus_mmio_read(rig, NIC_BAR + VET, 1), 0);
    CHECK_EQ(bus_mmio_read(rig, NIC_BAR + VET + 1, 1), 0x81);
    CHECK_EQ(bus_mmio_read(rig, NIC_BAR + VET, 2), 0x8100);
    CHECK_EQ(bus_mmio_read(rig, NIC_BAR + RAL0, 8), 0x8000332211290c00);
    bus_mmio_write(rig, NIC_BAR + VET, 2, 0x1234);
    bus_mmio_write(rig, NIC_BAR + VET + 2, 4, 0x12345678);
    CHECK_EQ(reg(VET), 0x8100);
    CHECK_EQ(bus_mmio_read(rig, NIC_BAR + VET + 1, 4), 0);
    bus_mmio_write(rig, NIC_BAR + RDBAL, 8, 0x1122334455667788);
    CHECK_EQ(reg(RDBAL), 0x55667780);
    CHECK_EQ(reg(RDBAH), 0x11223344);
}

static void nothing_answers_outside_the_registers(void)
{
    for (uint32_t off = 0x5c00; off < 0x20000; off += 0x3fc) {
        set(off & ~3u, 0xffffffff);
        CHECK_EQ(reg(off & ~3u), 0);
    }
    CHECK_EQ(bus_mmio_read(rig, NIC_BAR + 0x1fffc, 4), 0);
    CHECK_EQ(bus_mmio_read(rig, NIC_BAR + 0x1fff8, 8), 0);
}

static void registers_are_reached_through_ports(void)
{
    bus_port_write(rig, NIC_PORTS, 4, VET);
    bus_port_write(rig, NIC_PORTS + 4, 4, 0x8100);
    CHECK_EQ(bus_port_read(rig, NIC_PORTS, 4), VET);
    CHECK_EQ(bus_port_read(rig, NIC_PORTS + 4, 4), 0x8100);
    CHECK_EQ(reg(VET), 0x8100);
    static const uint32_t bad[] = {0x20000, 0xffffffff, VET + 1, 0x80000000};
    for (unsigned i = 0; i < 4; i++) {
        bus_port_write(rig, NIC_PORTS, 4, bad[i]);
        bus_port_write(rig, NIC_PORTS + 4, 4, 0xffffffff);
        CHECK_EQ(bus_port_read(rig, NIC_PORTS + 4, 4), 0);
    }
    CHECK_EQ(reg(VET), 0x8100);
}

static void reset_through_ports_is_complete(void)
{
    tx_ring(RING), rx_ring(RING, 8, 0);
    set(IMS, 0xffffffff), set(ICS, ICR_LSC), set(RAL0, 0), set(MTA, 1);
    CHECK(rig_line(NIC_LINE));
    bus_port_write(rig, NIC_PORTS, 4, CTRL);
    bus_port_write(rig, NIC_PORTS + 4, 4, reg(CTRL) | CTRL_RST);
    CHECK(!rig_line(NIC_LINE));
    static const uint32_t zero[] = {IMS, ICR, RCTL, TCTL, RDH, RDT, TDH, TDT, RDLEN, TDLEN, MTA, VET, ITR};
    for (unsigned i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
        CHECK_EQ(reg(zero[i]), 0);
    CHECK_EQ(reg(CTRL) & CTRL_RST, 0);
    CHECK_EQ(reg(RAL0), 0x11290c00);
    CHECK_EQ(reg(RAH0), 0x80003322);
    CHECK(reg(STATUS) & STATUS_LU);
}

static void packet_buffer_is_shared(void)
{
    CHECK_EQ(reg(PBA), 0x00100030);
    set(PBA, 40);
    CHECK_EQ(reg(PBA), 24 << 16 | 40);
    set(PBA, 0xffff);
    CHECK_EQ(reg(PBA), 0xffff);
}

/* ---- EEPROM ---- */

static uint16_t eerd(unsigned word)
{
    set(EERD, word << 8 | EERD_START);
    uint32_t value = reg(EERD);
    CHECK_EQ(value & 0x12, EERD_DONE);
    return (uint16_t)(value >> 16);
}

static void bits_out(uint32_t bits, unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        uint32_t di = bits >> i & 1 ? EECD_DI : 0;
        set(EECD, EECD_REQ | EECD_CS | di);
        set(EECD, EECD_REQ | EECD_CS | di | EECD_SK);
        set(EECD, EECD_REQ | EECD_CS | di);
    }
}

static uint16_t bits_in(void)
{
    uint16_t data = 0;
    for (unsigned i = 0; i < 16; i++) {
        set(EECD, EECD_REQ | EECD_CS | EECD_SK);
        data = (uint16_t)(data << 1 | (reg(EECD) & EECD_DO ? 1 : 0));
        set(EECD, EECD_REQ | EECD_CS);
    }
    set(EECD, EECD_REQ);
    return data;
}

static uint16_t microwire(unsigned word)
{
    set(EECD, EECD_REQ);
    CHECK(reg(EECD) & EECD_GNT);
    bits_out(6, 3), bits_out(word, 6);
    return bits_in();
}

static void both_ways_read_the_same_eeprom(void)
{
    uint16_t sum = 0;
    for (unsigned i = 0; i < 64; i++) {
        CHECK_EQ(microwire(i), eerd(i));
        sum = (uint16_t)(sum + eerd(i));
    }
    CHECK_EQ(sum, 0xbaba);
    CHECK_EQ(eerd(0), 0x0c00);
    CHECK_EQ(eerd(2), 0x3322);
    CHECK_EQ(eerd(0x0b) << 16 | eerd(0x0c), 0x075015ad);
    CHECK_EQ(eerd(64), 0);
    CHECK_EQ(eerd(255), 0);
}

static void eeprom_is_written_only_when_enabled(void)
{
    set(EECD, 0), bits_out(5, 3), bits_out(0, 6), bits_out(0x0200, 16), set(EECD, 0);
    CHECK_EQ(eerd(0), 0x0c00);
    bits_out(4, 3), bits_out(0x30, 6), set(EECD, 0); /* EWEN */
    bits_out(5, 3), bits_out(0, 6), bits_out(0x0200, 16), set(EECD, 0);
    CHECK_EQ(eerd(0), 0x0200);
    set(CTRL_EXT, CTRL_EXT_EE_RST);
    CHECK_EQ(reg(RAL0), 0x11290200);
    CHECK_EQ(reg(CTRL_EXT), 0);
    bits_out(4, 3), bits_out(0, 6), set(EECD, 0); /* EWDS */
    bits_out(7, 3), bits_out(0, 6), set(EECD, 0);
    CHECK_EQ(eerd(0), 0x0200);
}

static void endless_clocks_harm_nothing(void)
{
    for (unsigned i = 0; i < 1000; i++)
        bits_out(i, 1);
    set(EECD, 0);
    CHECK_EQ(microwire(0), 0x0c00);
}

/* ---- PHY and link ---- */

static uint16_t phy(unsigned number)
{
    set(MDIC, 1 << 21 | number << 16 | MDIC_READ);
    CHECK_EQ(reg(MDIC) & (MDIC_READY | MDIC_ERROR), MDIC_READY);
    return (uint16_t)reg(MDIC);
}

static void set_phy(unsigned number, uint16_t value)
{
    set(MDIC, 1 << 21 | number << 16 | MDIC_WRITE | value);
    CHECK_EQ(reg(MDIC) & (MDIC_READY | MDIC_ERROR), MDIC_READY);
}

static void phy_is_an_88e1011(void)
{
    CHECK_EQ(phy(PHY_ID1), 0x0141);
    CHECK_EQ(phy(PHY_ID2) & 0xfff0, 0x0c20);
    set_phy(PHY_ID1, 0);
    CHECK_EQ(phy(PHY_ID1), 0x0141);
    CHECK_EQ(phy(PHY_SPEC_STATUS), 0xac00);
    CHECK_EQ(phy(PHY_1000_STATUS) & 0x3c00, 0x3c00);
    set(MDIC, 2 << 21 | MDIC_READ);
    CHECK_EQ(reg(MDIC) & (MDIC_READY | MDIC_ERROR), MDIC_READY | MDIC_ERROR);
    set(ICR, ~0u), set(MDIC, 1 << 21 | MDIC_READ | MDIC_INTERRUPT);
    CHECK_EQ(reg(ICR), ICR_MDAC);
}

static void negotiation_takes_the_link_down_for_a_while(void)
{
    set_phy(PHY_CTRL, 0x1340);
    CHECK(!(reg(STATUS) & STATUS_LU));
    CHECK(!(phy(PHY_STATUS) & (PHY_STATUS_LINK | PHY_STATUS_AN_DONE)));
    CHECK_EQ(reg(ICR), ICR_LSC);
    rig_advance(20 * MS);
    CHECK_EQ(reg(ICR), ICR_LSC);
    CHECK(reg(STATUS) & STATUS_LU);
    CHECK_EQ(phy(PHY_STATUS) & 0x24, 0x24);
    CHECK_EQ(phy(PHY_PARTNER), 0x45e1);
}

static void speed_is_the_best_both_offer(void)
{
    CHECK_EQ(reg(STATUS) >> 6 & 3, 2);
    set_phy(PHY_1000_CTRL, 0), set_phy(PHY_CTRL, 0x1200), rig_advance(20 * MS);
    CHECK_EQ(reg(STATUS) >> 6 & 3, 1);
    CHECK_EQ(phy(PHY_SPEC_STATUS) >> 14, 1);
    set_phy(PHY_ADV, 0x61), set_phy(PHY_CTRL, 0x1200), rig_advance(20 * MS);
    CHECK_EQ(reg(STATUS) >> 6 & 3, 0);
    set_phy(PHY_CTRL, 0x2100), rig_advance(20 * MS);
    CHECK_EQ(reg(STATUS) >> 6 & 3, 1);
}

static void a_pulled_cable_is_seen_everywhere(void)
{
    set(IMS, ICR_LSC);
    net_set_link(port(), false);
    CHECK(rig_line(NIC_LINE));
    CHECK_EQ(reg(ICR), ICR_LSC);
    CHECK(!(reg(STATUS) & STATUS_LU));
    CHECK_EQ(phy(PHY_SPEC_STATUS), 0);
    net_set_link(port(), true);
    CHECK(!(reg(STATUS) & STATUS_LU));
    rig_advance(20 * MS);
    CHECK_EQ(reg(ICR), ICR_LSC);
    CHECK(!(phy(PHY_STATUS) & PHY_STATUS_LINK)); /* latched low */
    CHECK(phy(PHY_STATUS) & PHY_STATUS_LINK);
}

static void powered_down_phy_has_no_link(void)
{
    set_phy(PHY_CTRL, 0x1140 | PHY_CTRL_POWER_DOWN), rig_advance(20 * MS);
    CHECK(!(reg(STATUS) & STATUS_LU));
    set_phy(PHY_CTRL, 0x1140), rig_advance(20 * MS);
    CHECK(reg(STATUS) & STATUS_LU);
}

static void mac_reset_leaves_the_link_alone(void)
{
    set(CTRL, reg(CTRL) | CTRL_RST);
    CHECK(reg(STATUS) & STATUS_LU);
    set(CTRL, reg(CTRL) | CTRL_PHY_RST);
    CHECK(!(reg(STATUS) & STATUS_LU));
    set(CTRL, reg(CTRL) & ~CTRL_PHY_RST);
    rig_advance(20 * MS);
    CHECK(reg(STATUS) & STATUS_LU);
}

/* ---- interrupts ---- */

static void the_pin_is_causes_and_mask(void)
{
    set(ICS, ICR_RXT0);
    CHECK(!rig_line(NIC_LINE));
    set(IMS, ICR_RXT0);
    CHECK(rig_line(NIC_LINE));
    CHECK_EQ(reg(IMS), ICR_RXT0);
    CHECK_EQ(reg(ICS), ICR_RXT0);
    set(IMC, ICR_RXT0);
    CHECK(!rig_line(NIC_LINE));
    CHECK_EQ(reg(IMS), 0);
    CHECK_EQ(reg(ICR), ICR_RXT0);
    CHECK_EQ(reg(ICR), 0);
}

static void writing_icr_clears_ones(void)
{
    set(IMS, ~0u), set(ICS, ICR_RXT0 | ICR_TXDW);
    set(ICR, ICR_RXT0);
    CHECK(rig_line(NIC_LINE));
    set(ICR, ICR_TXDW);
    CHECK(!rig_line(NIC_LINE));
}

static void throttling_spaces_interrupts(void)
{
    set(ITR, 1000), set(IMS, ~0u); /* 256 us */
    set(ICS, ICR_TXDW);
    CHECK(rig_line(NIC_LINE));
    reg(ICR), set(ICS, ICR_TXDW);
    CHECK(!rig_line(NIC_LINE));
    rig_advance(255000);
    CHECK(!rig_line(NIC_LINE));
    CHECK_EQ(reg(ICS), ICR_TXDW);
    rig_advance(1000);
    CHECK(rig_line(NIC_LINE));
}

static void a_flood_of_ics_is_one_level(void)
{
    set(IMS, ~0u);
    for (unsigned i = 0; i < 10000; i++)
        set(ICS, ~0u);
    CHECK(rig_line(NIC_LINE));
    CHECK_EQ(reg(ICR), ICR_CAUSES);
    CHECK(!rig_line(NIC_LINE));
}

static void messages_take_the_place_of_the_pin(void)
{
    rig->cpu = &logging_cpus, rig->cpu_ctx = &cpu_log;
    apic_enable(0);
    CHECK_EQ(pci_read(NIC, 0xf0, 2), 0x0005);
    pci_write(NIC, 0xf4, 4, 0xfee00000), pci_write(NIC, 0xfc, 2, 0x0041), pci_write(NIC, 0xf2, 2, 1);
    set(IMS, ~0u), set(ICS, ICR_TXDW);
    CHECK(!rig_line(NIC_LINE));
    CHECK_EQ(irq_ack(rig, 0), 0x41);
    apic_write(0, 0xb0, 0);
    set(ICS, ICR_RXT0);
    CHECK_EQ(irq_ack(rig, 0), -1); /* still asserted: no new message */
    reg(ICR), set(ICS, ICR_RXT0);
    CHECK_EQ(irq_ack(rig, 0), 0x41);
    apic_write(0, 0xb0, 0);
    pci_write(NIC, 0xf2, 2, 0);
    CHECK(rig_line(NIC_LINE));
    rig->cpu = &logging_cpus;
}

static void a_message_elsewhere_is_a_write_to_memory(void)
{
    uint32_t got = 0;
    pci_write(NIC, 0xf4, 4, 0x5000), pci_write(NIC, 0xfc, 2, 0xbeef), pci_write(NIC, 0xf2, 2, 1);
    set(IMS, ~0u), set(ICS, ICR_TXDW);
    ram_read(rig, 0x5000, &got, 4);
    CHECK_EQ(got, 0xbeef);
    pci_write(NIC, 0xf4, 4, 0xfffff000), pci_write(NIC, 0xf8, 4, 0xffffffff);
    reg(ICR), set(ICS, ICR_TXDW); /* nowhere: nothing happens */
    pci_write(NIC, 4, 2, 3), pci_write(NIC, 0xf4, 4, 0x6000), pci_write(NIC, 0xf8, 4, 0);
    reg(ICR), set(ICS, ICR_TXDW); /* not a bus master */
    ram_read(rig, 0x6000, &got, 4);
    CHECK_EQ(got, 0);
}

static void restore_raises_the_pin_again(void)
{
    size_t size = board_state_size(rig);
    uint8_t *bytes = malloc(size);
    set(IMS, ICR_LSC), set(ICS, ICR_LSC), set(VET, 0x8100), set_phy(30, 77);
    board_state_save(rig, bytes);
    rig_end();
    nic_begin(VMK_NIC_E82545EM);
    CHECK_EQ(board_state_load(rig, bytes, size), VMK_OK);
    free(bytes);
    CHECK(rig_line(NIC_LINE));
    CHECK_EQ(reg(VET), 0x8100);
    CHECK_EQ(phy(30), 77);
    CHECK_EQ(reg(ICR), ICR_LSC);
}

int main(void)
{
    RUN_NIC(the_default_is_what_vmware_shows);
    nic_begin(VMK_NIC_E82540EM);
    RUN(the_82540em_has_narrow_bars);
    rig_end();
    RUN(an_address_of_a_group_is_refused);
    RUN_NIC(accesses_of_other_widths_reach_their_part);
    RUN_NIC(nothing_answers_outside_the_registers);
    RUN_NIC(registers_are_reached_through_ports);
    RUN_NIC(reset_through_ports_is_complete);
    RUN_NIC(packet_buffer_is_shared);
    RUN_NIC(both_ways_read_the_same_eeprom);
    RUN_NIC(eeprom_is_written_only_when_enabled);
    RUN_NIC(endless_clocks_harm_nothing);
    RUN_NIC(phy_is_an_88e1011);
    RUN_NIC(negotiation_takes_the_link_down_for_a_while);
    RUN_NIC(speed_is_the_best_both_offer);
    RUN_NIC(a_pulled_cable_is_seen_everywhere);
    RUN_NIC(powered_down_phy_has_no_link);
    RUN_NIC(mac_reset_leaves_the_link_alone);
    RUN_NIC(the_pin_is_causes_and_mask);
    RUN_NIC(writing_icr_clears_ones);
    RUN_NIC(throttling_spaces_interrupts);
    RUN_NIC(a_flood_of_ics_is_one_level);
    RUN_NIC(messages_take_the_place_of_the_pin);
    RUN_NIC(a_message_elsewhere_is_a_write_to_memory);
    RUN_NIC(restore_raises_the_pin_again);
    return check_done();
}
