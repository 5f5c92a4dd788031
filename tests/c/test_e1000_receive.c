/* Proves the 8254x's receive side: storing, filters, buffer sizes, checksums, tags, running out of
 * buffers; and what hostile rings must not do. */
#include "check.h"
#include "e1000_rig.h"

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t stranger[6] = {0x02, 0, 0, 0, 0, 9};
static const uint8_t group[6] = {0x01, 0, 0x5e, 0, 0, 0xfb};

static void stored(unsigned index, uint8_t *out, size_t len)
{
    ram_read(rig, RX_DATA + index * 0x4000, out, len);
}

static void a_frame_is_stored_with_its_fcs(void)
{
    uint8_t got[104];
    rx_ring(RING, 12, RCTL_BAM), set(IMS, ICR_RXT0);
    give(frame_to(nic_mac, 100), 100);
    struct rx r = rx_get(0);
    CHECK_EQ(r.length, 104);
    CHECK_EQ(r.status, RXD_DD | RXD_EOP | RXD_IXSM);
    CHECK_EQ(r.errors, 0);
    stored(0, got, 104);
    CHECK(!memcmp(got, frame_to(nic_mac, 100), 100));
    CHECK_EQ(reg(RDH), 1);
    CHECK(rig_line(NIC_LINE));
    CHECK_EQ(reg(ICR), ICR_RXT0);
    CHECK_EQ(stat(STAT_GPRC), 1);
    CHECK_EQ(stat(STAT_GORC), 104);
}

static void the_fcs_is_stripped_on_request(void)
{
    rx_ring(RING, 8, RCTL_SECRC);
    give(frame_to(nic_mac, 100), 100), give(frame_to(nic_mac, 20), 20);
    CHECK_EQ(rx_get(0).length, 100);
    CHECK_EQ(rx_get(1).length, 60); /* padded as on the wire */
}

static void a_disabled_receiver_loses_frames(void)
{
    rx_ring(RING, 8, 0), set(RCTL, 0);
    give(frame_to(nic_mac, 100), 100);
    set(RCTL, RCTL_EN), pci_write(NIC, 4, 2, 3);
    give(frame_to(nic_mac, 100), 100);
    pci_write(NIC, 4, 2, 7), board_run_due(rig);
    CHECK_EQ(reg(RDH), 0);
    CHECK_EQ(rx_get(0).status, 0);
}

/* ---- filters ---- */

static bool passes(const uint8_t *to, uint32_t rctl)
{
    rx_ring(RING, 8, rctl);
    give(frame_to(to, 64), 64);
    return reg(RDH) == 1;
}

static void addresses_are_filtered(void)
{
    CHECK(passes(nic_mac, 0));
    CHECK(!passes(stranger, 0) && !passes(group, 0) && !passes(broadcast, 0));
    CHECK(passes(stranger, RCTL_UPE) && !passes(stranger, RCTL_MPE | RCTL_BAM));
    CHECK(passes(group, RCTL_MPE) && !passes(group, RCTL_UPE | RCTL_BAM));
    CHECK(passes(broadcast, RCTL_BAM) && passes(broadcast, RCTL_MPE) && !passes(broadcast, RCTL_UPE));
}

static void sixteen_addresses_are_exact(void)
{
    set(RAL0 + 15 * 8, 0x00000002), set(RAH0 + 15 * 8, 0x0900);
    CHECK(!passes(stranger, 0));
    set(RAH0 + 15 * 8, 0x80000900);
    CHECK(passes(stranger, 0));
    set(RAH0, 0x3322);
    CHECK(!passes(nic_mac, 0));
}

static void groups_are_hashed(void)
{
    static const unsigned shift[4] = {4, 3, 2, 0};
    for (unsigned mo = 0; mo < 4; mo++) {
        unsigned hash = (0xfb00u >> shift[mo]) & 0xfff;
        set(MTA + hash / 32 * 4, 1u << hash % 32);
        CHECK(passes(group, mo << RCTL_MO_SHIFT));
        set(MTA + hash / 32 * 4, ~(1u << hash % 32));
        CHECK(!passes(group, mo << RCTL_MO_SHIFT));
        set(MTA + hash / 32 * 4, 0);
    }
}

static const uint8_t *tagged(unsigned tag, size_t len)
{
    uint8_t *f = (uint8_t *)(uintptr_t)frame_to(nic_mac, len);
    f[12] = 0x81, f[13] = 0, f[14] = (uint8_t)(tag >> 8), f[15] = (uint8_t)tag;
    return f;
}

static void vlans_are_filtered(void)
{
    set(VET, 0x8100), rx_ring(RING, 8, RCTL_VFE);
    give(tagged(0x0123, 100), 100);
    CHECK_EQ(reg(RDH), 0);
    set(VFTA + (0x123 / 32) * 4, 1u << 0x123 % 32);
    give(tagged(0xe123, 100), 100); /* the priority does not count */
    CHECK_EQ(reg(RDH), 1);
    give(frame_to(nic_mac, 100), 100);
    CHECK_EQ(reg(RDH), 2);
}

static void tags_are_stripped(void)
{
    uint8_t got[20];
    set(VET, 0x8100), set(CTRL, reg(CTRL) | CTRL_VME), rx_ring(RING, 8, RCTL_SECRC);
    give(tagged(0xa123, 100), 100), give(frame_to(nic_mac, 100), 100);
    struct rx r = rx_get(0);
    CHECK_EQ(r.length, 96);
    CHECK_EQ(r.special, 0xa123);
    CHECK(r.status & RXD_VP);
    stored(0, got, 20);
    CHECK(!memcmp(got + 12, "\x10\x11\x12\x13", 4));
    CHECK_EQ(rx_get(1).length, 100);
    CHECK(!(rx_get(1).status & RXD_VP));
}

static void pause_frames_are_the_chips(void)
{
    uint8_t *f = (uint8_t *)(uintptr_t)frame_to((const uint8_t *)"\x01\x80\xc2\0\0\x01", 60);
    f[12] = 0x88, f[13] = 0x08;
    set(0x30, 0x8808), set(CTRL, reg(CTRL) | CTRL_RFCE), rx_ring(RING, 8, RCTL_MPE);
    give(f, 60);
    CHECK_EQ(reg(RDH), 0);
    set(RCTL, RCTL_EN | RCTL_MPE | RCTL_PMCF), give(f, 60);
    CHECK_EQ(reg(RDH), 1);
}

static void long_frames_need_permission(void)
{
    rx_ring(RING, 8, 0);
    give(frame_to(nic_mac, 1518), 1518), give(frame_to(nic_mac, 1519), 1519);
    CHECK_EQ(reg(RDH), 1);
    CHECK_EQ(stat(STAT_ROC), 1);
    rx_ring(RING, 8, RCTL_LPE | RCTL_BSEX | 1 << RCTL_BSIZE_SHIFT);
    give(frame_to(nic_mac, 9014), 9014);
    CHECK_EQ(rx_get(0).length, 9018);
    CHECK_EQ(net_deliver(port(), frame_to(nic_mac, 64), NET_FRAME_MAX + 1, 0), VMK_EINVAL);
    CHECK_EQ(net_deliver(port(), frame_to(nic_mac, 64), 13, 0), VMK_EINVAL);
}

/* ---- buffers ---- */

static void frames_span_buffers(void)
{
    static const struct { uint32_t rctl; unsigned size; } rows[] = {
        {0, 2048}, {1 << 16, 1024}, {2 << 16, 512}, {3 << 16, 256}, {RCTL_BSEX, 2048},
        {RCTL_BSEX | 1 << 16, 16384}, {RCTL_BSEX | 2 << 16, 8192}, {RCTL_BSEX | 3 << 16, 4096},
    };
    for (unsigned i = 0; i < 8; i++) {
        unsigned whole = 16000 + 4, used = (whole + rows[i].size - 1) / rows[i].size;
        rx_ring(128, 127, rows[i].rctl | RCTL_LPE);
        give(frame_to(nic_mac, 16000), 16000);
        CHECK_EQ(reg(RDH), used);
        for (unsigned n = 0; n < used; n++) {
            CHECK_EQ(rx_get(n).length, n + 1 < used ? rows[i].size : whole - n * rows[i].size);
            CHECK_EQ(rx_get(n).status & (RXD_DD | RXD_EOP), n + 1 < used ? RXD_DD : RXD_DD | RXD_EOP);
        }
    }
}

static void the_fcs_may_need_a_buffer_of_its_own(void)
{
    rx_ring(RING, 8, 3 << RCTL_BSIZE_SHIFT);
    give(frame_to(nic_mac, 254), 254);
    CHECK_EQ(rx_get(0).length, 256);
    CHECK_EQ(rx_get(1).length, 2);
    CHECK_EQ(reg(RDH), 2);
}

static void frames_wait_for_buffers(void)
{
    rx_ring(RING, 2, 0);
    for (unsigned i = 0; i < 5; i++)
        give(frame_to(nic_mac, 100 + i), 100 + i);
    CHECK_EQ(reg(RDH), 2);
    CHECK(reg(ICR) & ICR_RXO);
    CHECK_EQ(stat(STAT_RNBC), 1);
    set(RDT, 4), rig_advance(0);
    CHECK_EQ(reg(RDH), 4);
    set(RDT, 8), rig_advance(0);
    CHECK_EQ(reg(RDH), 5);
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(rx_get(i).length, 104 + i);
}

static void few_buffers_are_announced(void)
{
    rx_ring(16, 9, 1 << RCTL_RDMTS_SHIFT); /* a quarter: 4 */
    for (unsigned i = 0; i < 4; i++)
        give(frame_to(nic_mac, 64), 64);
    CHECK(!(reg(ICR) & ICR_RXDMT0));
    give(frame_to(nic_mac, 64), 64);
    CHECK(reg(ICR) & ICR_RXDMT0);
}

static void a_null_buffer_takes_nothing(void)
{
    uint64_t none[2] = {0, 0};
    rx_ring(RING, 8, 0), ram_write(rig, RX_RING, none, 16);
    give(frame_to(nic_mac, 100), 100);
    CHECK_EQ(rx_get(0).status, RXD_DD);
    CHECK_EQ(rx_get(0).length, 0);
    CHECK_EQ(rx_get(1).length, 104);
    CHECK_EQ(reg(RDH), 2);
}

/* ---- checksums ---- */

static uint32_t add(uint32_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += (uint32_t)bytes[i] << (i & 1 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
    at[0] = (uint8_t)(~sum >> 8), at[1] = (uint8_t)~sum;
}

/* An IPv4 packet of 100 bytes for protocol 6 or 17, all checksums right. */
static uint8_t *packet(uint8_t protocol)
{
    uint8_t *f = (uint8_t *)(uintptr_t)frame_to(nic_mac, 114), *l4 = f + 34;
    memcpy(f + 12, "\x08\0\x45\0\0\x64\0\1\0\0\x40\0\0\0\x0a\0\2\2\x0a\0\2\x0f", 22);
    f[23] = protocol;
    put_sum(f + 24, add(0, f + 14, 20));
    uint8_t *sum = l4 + (protocol == 6 ? 16 : 6);
    sum[0] = sum[1] = 0;
    put_sum(sum, add(add(80u + protocol, f + 26, 8), l4, 80));
    return f;
}

static void right_checksums_are_confirmed(void)
{
    rx_ring(RING, 8, 0), set(RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL | 14);
    give(packet(6), 114), give(packet(17), 114);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(rx_get(i).status, RXD_DD | RXD_EOP | RXD_IPCS | RXD_TCPCS);
        CHECK_EQ(rx_get(i).errors, 0);
    }
    CHECK_EQ(rx_get(0).checksum, add(0, packet(6) + 14, 100));
}

static void wrong_checksums_are_reported(void)
{
    rx_ring(RING, 8, 0), set(RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
    uint8_t *f = packet(6);
    f[100] ^= 1, give(f, 114);
    CHECK_EQ(rx_get(0).errors, RXD_TCPE);
    f = packet(17), f[22] ^= 1, give(f, 114);
    CHECK_EQ(rx_get(1).errors, RXD_IPE);
    set(RXCSUM, 0), give(f, 114);
    CHECK_EQ(rx_get(2).errors, 0);
    CHECK(rx_get(2).status & RXD_IXSM);
}

static void what_cannot_be_verified_is_left_to_the_guest(void)
{
    static const struct { unsigned at; uint8_t value; } damage[] = {
        {14, 0x65}, {14, 0x44}, {14, 0x4f}, {16, 0xff}, {17, 19}, {12, 0x86},
    };
    rx_ring(RING, 15, 0), set(RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
    for (unsigned i = 0; i < 6; i++) {
        uint8_t *f = packet(6);
        f[damage[i].at] = damage[i].value;
        give(f, 114);
        CHECK(!(rx_get(i).status & RXD_TCPCS) || rx_get(i).errors);
    }
    uint8_t *f = packet(6);
    f[20] = 0x20, put_sum(f + 24, (f[24] = f[25] = 0, add(0, f + 14, 20))), give(f, 114); /* a fragment */
    CHECK_EQ(rx_get(6).status, RXD_DD | RXD_EOP | RXD_IPCS);
    f = packet(17), f[40] = f[41] = 0, give(f, 114); /* UDP without a checksum */
    CHECK_EQ(rx_get(7).errors, 0);
    give(packet(6), 34); /* cut off behind the IP header */
    CHECK_EQ(rx_get(8).status, RXD_DD | RXD_EOP | RXD_IXSM);
}

/* ---- delays ---- */

static void interrupts_are_delayed_on_request(void)
{
    rx_ring(RING, 15, 0), set(RDTR, 100), set(RADV, 150);
    give(frame_to(nic_mac, 64), 64);
    CHECK_EQ(reg(ICR), 0);
    rig_advance(80 * 1024), give(frame_to(nic_mac, 64), 64), rig_advance(60 * 1024);
    CHECK_EQ(reg(ICR), 0);
    rig_advance(10 * 1024);
    CHECK_EQ(reg(ICR), ICR_RXT0);
    give(frame_to(nic_mac, 64), 64);
    set(RDTR, RDTR_FPD | 100);
    CHECK_EQ(reg(ICR), ICR_RXT0);
}

/* ---- hostile rings ---- */

static void heads_and_tails_outside_the_ring_store_nothing(void)
{
    static const uint32_t bad[] = {RING, RING + 1, 0x7fff, 0xffff};
    for (unsigned i = 0; i < 4; i++) {
        rx_ring(RING, 8, 0), set(RDT, bad[i]);
        give(frame_to(nic_mac, 64), 64);
        CHECK_EQ(reg(RDH), 0);
        set(RDH, bad[i]), set(RDT, 8), give(frame_to(nic_mac, 64), 64);
        CHECK_EQ(reg(RDH), bad[i]);
    }
    rx_ring(RING, 8, 0), set(RDLEN, 0), give(frame_to(nic_mac, 64), 64);
    CHECK_EQ(rx_get(0).status, 0);
}

static void a_ring_of_null_buffers_ends(void)
{
    uint8_t zero[128 * 16] = {0};
    rx_ring(128, 127, 0), ram_write(rig, RX_RING, zero, sizeof(zero));
    for (unsigned i = 0; i < 10; i++)
        give(frame_to(nic_mac, 1500), 1500);
    CHECK_EQ(stat(STAT_MPC), 10);
}

static void a_frame_larger_than_the_ring_is_lost(void)
{
    rx_ring(8, 7, RCTL_LPE | 3 << RCTL_BSIZE_SHIFT);
    give(frame_to(nic_mac, 9000), 9000);
    CHECK_EQ(stat(STAT_MPC), 1);
    give(frame_to(nic_mac, 100), 100);
    CHECK_EQ(reg(RDH), 1);
}

static void buffers_and_rings_that_are_not_memory_take_nothing(void)
{
    static const uint64_t bad[] = {0xa0000, 16 << 20, NIC_BAR + RDT, UINT64_MAX - 3, (16 << 20) - 8};
    for (unsigned i = 0; i < 5; i++) {
        uint64_t desc[2] = {bad[i], 0};
        rx_ring(RING, 8, 0), ram_write(rig, RX_RING, desc, 16);
        give(frame_to(nic_mac, 64), 64);
        CHECK_EQ(rx_get(0).status & RXD_DD, RXD_DD);
        CHECK_EQ(rx_get(0).length, 0);
        set(RDBAL, (uint32_t)bad[i]), set(RDBAH, (uint32_t)(bad[i] >> 32)), set(RDH, 3);
        give(frame_to(nic_mac, 64), 64);
    }
    CHECK_EQ(reg(RDT), 8);
}

/* What was under way when the driver took the chip down comes to nobody, and not to where it was going. */
static void frames_under_way_at_a_reset_or_a_move_are_stored_nowhere_else(void)
{
    enum { RESET, MASTER_OFF, BAR_OFF, BAR_MOVED, WAYS };
    for (unsigned way = 0; way < WAYS; way++) {
        uint32_t moved = NIC_BAR + (way == BAR_MOVED ? 1 << 20 : 0);
        rx_ring(RING, 8, 0);
        CHECK_EQ(net_deliver(port(), frame_to(nic_mac, 64), 64, board_now(rig) + MS), 0);
        if (way == RESET)
            set(CTRL, CTRL_RST);
        pci_write(NIC, 0x10, 4, moved);
        pci_write(NIC, 4, 2, way == MASTER_OFF ? 3 : way == BAR_OFF ? 5 : 7);
        rig_advance(10 * MS);
        CHECK_EQ(rx_get(0).length, way >= BAR_OFF ? 68 : 0);
        CHECK_EQ(rx_get(1).status, 0);
        pci_write(NIC, 0x10, 4, NIC_BAR), pci_write(NIC, 4, 2, 7);
        CHECK_EQ(reg(RDH), way >= BAR_OFF ? 1 : 0);
    }
}

static void a_buffer_may_be_the_ring(void)
{
    rx_ring(RING, 15, 0);
    for (unsigned i = 0; i < RING; i++)
        ram_write(rig, RX_RING + i * 16, &(uint64_t){RX_RING}, 8);
    for (unsigned i = 0; i < 20; i++)
        give(frame_to(nic_mac, 1500), 1500);
    CHECK(reg(RDH) < RING);
}

int main(void)
{
    RUN_NIC(a_frame_is_stored_with_its_fcs);
    RUN_NIC(the_fcs_is_stripped_on_request);
    RUN_NIC(a_disabled_receiver_loses_frames);
    RUN_NIC(addresses_are_filtered);
    RUN_NIC(sixteen_addresses_are_exact);
    RUN_NIC(groups_are_hashed);
    RUN_NIC(vlans_are_filtered);
    RUN_NIC(tags_are_stripped);
    RUN_NIC(pause_frames_are_the_chips);
    RUN_NIC(long_frames_need_permission);
    RUN_NIC(frames_span_buffers);
    RUN_NIC(the_fcs_may_need_a_buffer_of_its_own);
    RUN_NIC(frames_wait_for_buffers);
    RUN_NIC(few_buffers_are_announced);
    RUN_NIC(a_null_buffer_takes_nothing);
    RUN_NIC(right_checksums_are_confirmed);
    RUN_NIC(wrong_checksums_are_reported);
    RUN_NIC(what_cannot_be_verified_is_left_to_the_guest);
    RUN_NIC(interrupts_are_delayed_on_request);
    RUN_NIC(heads_and_tails_outside_the_ring_store_nothing);
    RUN_NIC(a_ring_of_null_buffers_ends);
    RUN_NIC(a_frame_larger_than_the_ring_is_lost);
    RUN_NIC(buffers_and_rings_that_are_not_memory_take_nothing);
    RUN_NIC(frames_under_way_at_a_reset_or_a_move_are_stored_nowhere_else);
    RUN_NIC(a_buffer_may_be_the_ring);
    return check_done();
}
