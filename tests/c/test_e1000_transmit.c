/* Proves the 8254x's transmit side: descriptors, padding, tags, checksums, segmentation, pacing, delays; and
 * what hostile rings and descriptors must not do. */
#include "check.h"
#include "e1000_rig.h"

enum { TSE = TXD_IC_OR_TSE, DATA = TXD_DEXT | TXD_DTYP_DATA, CONTEXT = TXD_DEXT };

static void data(uint32_t at, const void *bytes, size_t len)
{
    ram_write(rig, TX_DATA + at, bytes, len);
}

static uint16_t be16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static uint32_t be32(const uint8_t *at) { return (uint32_t)be16(at) << 16 | be16(at + 2); }

/* The one's complement sum, folded; 0xffff over data that holds its own checksum. */
static uint32_t add(uint32_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += (uint32_t)bytes[i] << (i & 1 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void legacy_packet_goes_out_and_is_reported(void)
{
    tx_ring(RING);
    data(0, frame_to((const uint8_t *)"\xff\xff\xff\xff\xff\xff", 100), 100);
    tx_put(0, TX_DATA, SEND | 100, 0);
    set(TDT, 1);
    CHECK_EQ(wire.count, 1);
    CHECK_EQ(wire.frame[0].len, 100);
    CHECK(!memcmp(wire.frame[0].bytes + 14, "\x0e\x0f\x10", 3));
    CHECK_EQ(tx_status(0), TXD_DD);
    CHECK_EQ(reg(TDH), 1);
    CHECK_EQ(reg(ICR), ICR_TXDW | ICR_TXQE);
    CHECK_EQ(stat(STAT_GPTC), 1);
    CHECK_EQ(stat(STAT_BPTC), 1);
    CHECK_EQ(stat(STAT_GOTC), 104);
    CHECK_EQ(stat(STAT_GPTC), 0);
}

static void short_packets_are_padded_on_request(void)
{
    tx_ring(RING);
    data(0, frame_to(nic_mac, 20), 20);
    tx_put(0, TX_DATA, SEND | 20, 0), tx_put(1, TX_DATA, SEND | 20, 0);
    set(TDT, 1);
    CHECK_EQ(wire.frame[0].len, 60);
    CHECK_EQ(wire.frame[0].bytes[59], 0);
    set(TCTL, TCTL_EN), set(TDT, 2);
    CHECK_EQ(wire.frame[1].len, 20);
}

static void pieces_wait_for_the_last(void)
{
    tx_ring(RING);
    data(0, frame_to(nic_mac, 200), 200);
    tx_put(0, TX_DATA, 50, 0), tx_put(1, TX_DATA + 50, 100, 0), tx_put(2, TX_DATA + 150, SEND | 50, 0);
    set(TDT, 1), set(TDT, 2);
    CHECK_EQ(wire.count, 0);
    CHECK_EQ(reg(TDH), 0);
    set(TDT, 3);
    CHECK_EQ(wire.frame[0].len, 200);
    CHECK(!memcmp(wire.frame[0].bytes, frame_to(nic_mac, 200), 200));
    CHECK_EQ(tx_status(1), 0);
    CHECK_EQ(tx_status(2), TXD_DD);
}

static void the_ring_wraps(void)
{
    tx_ring(RING);
    data(0, frame_to(nic_mac, 64), 64);
    for (unsigned i = 0; i < 40; i++) {
        tx_put(i % RING, TX_DATA, SEND | 64, 0);
        set(TDT, (i + 1) % RING);
    }
    CHECK_EQ(wire.count, 40);
    CHECK_EQ(reg(TDH), 40 % RING);
}

static void a_tail_written_before_the_enable_is_remembered(void)
{
    tx_ring(RING);
    set(TCTL, 0);
    tx_put(0, TX_DATA, SEND | 64, 0), set(TDT, 1);
    CHECK_EQ(wire.count, 0);
    set(TCTL, TCTL_EN);
    CHECK_EQ(wire.count, 1);
}

static void bus_mastering_is_obeyed(void)
{
    tx_ring(RING), pci_write(NIC, 4, 2, 3);
    tx_put(0, TX_DATA, SEND | 64, 0), set(TDT, 1);
    CHECK_EQ(wire.count, 0);
    pci_write(NIC, 4, 2, 7);
    CHECK_EQ(wire.count, 1);
}

static void without_a_link_packets_are_done_and_lost(void)
{
    struct vmk_net_counters n;
    tx_ring(RING), net_set_link(port(), false);
    tx_put(0, TX_DATA, SEND | 64, 0), set(TDT, 1);
    CHECK_EQ(wire.count, 0);
    CHECK_EQ(tx_status(0), TXD_DD);
    net_counters(port(), &n);
    CHECK_EQ(n.tx_dropped, 1);
}

static void a_guests_own_fcs_is_removed(void)
{
    tx_ring(RING);
    tx_put(0, TX_DATA, TXD_EOP | TXD_RS | 104, 0), set(TDT, 1);
    CHECK_EQ(wire.frame[0].len, 100);
}

static void tags_are_inserted(void)
{
    tx_ring(RING), set(VET, 0x8100), set(CTRL, reg(CTRL) | CTRL_VME);
    data(0, frame_to(nic_mac, 100), 100);
    tx_put(0, TX_DATA, SEND | TXD_VLE | 100, 0xa123u << 16), set(TDT, 1);
    CHECK_EQ(wire.frame[0].len, 104);
    CHECK_EQ(be32(wire.frame[0].bytes + 12), 0x8100a123);
    CHECK_EQ(be16(wire.frame[0].bytes + 16), 0x88b5);
    set(CTRL, reg(CTRL) & ~(uint32_t)CTRL_VME), tx_put(1, TX_DATA, SEND | TXD_VLE | 100, 0), set(TDT, 2);
    CHECK_EQ(wire.frame[1].len, 100);
}

/* ---- checksums ---- */

static void legacy_checksum_is_inserted(void)
{
    tx_ring(RING);
    data(0, frame_to(nic_mac, 100), 100), data(50, "\0\0", 2);
    tx_put(0, TX_DATA, SEND | TXD_IC_OR_TSE | 50 << 16 | 100, 14 << 8), set(TDT, 1);
    CHECK_EQ(add(0, wire.frame[0].bytes + 14, 86), 0xffff);
}

static void put_context(unsigned at, uint64_t low, uint32_t command, uint32_t status)
{
    tx_put(at, low, CONTEXT | command, status);
}

static void context_checksums_are_inserted(void)
{
    tx_ring(RING);
    data(0, frame_to(nic_mac, 100), 100), data(24, "\0\0", 2), data(50, "\0\0", 2);
    put_context(0, 14 | 24 << 8 | 33 << 16 | 34ull << 32 | 50ull << 40, TXD_TCP | TXD_IP, 0);
    tx_put(1, TX_DATA, DATA | SEND | 100, TXD_IXSM | TXD_TXSM), set(TDT, 2);
    CHECK_EQ(wire.count, 1);
    CHECK_EQ(add(0, wire.frame[0].bytes + 14, 20), 0xffff);
    CHECK_EQ(add(0, wire.frame[0].bytes + 34, 66), 0xffff);
}

static void udp_never_sends_a_checksum_of_zero(void)
{
    uint8_t frame[60] = {0};
    tx_ring(RING);
    data(0, frame, 60), data(40, "\xff\xff", 2);
    put_context(0, 34ull << 32 | 50ull << 40, 0, 0);
    tx_put(1, TX_DATA, DATA | SEND | 60, TXD_TXSM), set(TDT, 2);
    CHECK_EQ(be16(wire.frame[0].bytes + 50), 0xffff);
    put_context(2, 34ull << 32 | 50ull << 40, TXD_TCP, 0);
    tx_put(3, TX_DATA, DATA | SEND | 60, TXD_TXSM), set(TDT, 4);
    CHECK_EQ(be16(wire.frame[1].bytes + 50), 0);
}

static void checksums_outside_the_packet_are_not_made(void)
{
    static const struct { uint64_t context; uint32_t option; } rows[] = {
        {14 | 99 << 8, TXD_IXSM}, {14 | 255 << 8, TXD_IXSM}, {200 | 20 << 8, TXD_IXSM},
        {50 | 20 << 8 | 40 << 16, TXD_IXSM}, {255ull << 32 | 255ull << 40, TXD_TXSM},
        {99ull << 40, TXD_TXSM}, {14 | 98 << 8 | 0xffffull << 16, TXD_IXSM},
    };
    tx_ring(RING);
    for (unsigned i = 0; i < 7; i++) {
        data(0, frame_to(nic_mac, 100), 100);
        set(TCTL, 0), set(TDT, 0), set(TDH, 0), set(TCTL, TCTL_EN);
        put_context(0, rows[i].context, TXD_TCP | TXD_IP, 0);
        tx_put(1, TX_DATA, DATA | SEND | 100, rows[i].option), set(TDT, 2);
        CHECK_EQ(wire.count, i + 1);
        CHECK_EQ(wire.frame[i].len, 100);
        CHECK(!memcmp(wire.frame[i].bytes, frame_to(nic_mac, 98), 98));
    }
}

/* ---- segmentation ---- */

enum { HEADERS = 54, MSS = 1000 };

/* Ethernet, IPv4, TCP; the checksum field holds the pseudo-header's sum without a length. */
static void tcp_headers(void)
{
    uint8_t h[HEADERS] = {0};
    memcpy(h + 12, "\x08\x00\x45\x00\x00\x00\x12\xff\x40\x00\x40\x06\0\0\x0a\0\x02\x0f\x0a\0\x02\x02", 22);
    memcpy(h + 34, "\x30\x39\0\x09\xff\xff\xff\x00\0\0\0\1\x50\x19\xff\xff", 16);
    uint32_t seed = add(6, h + 26, 8);
    h[50] = (uint8_t)(seed >> 8), h[51] = (uint8_t)seed;
    data(0, h, sizeof(h));
}

static void tso_context(unsigned at, unsigned header, unsigned mss, uint32_t command)
{
    put_context(at, 14 | 24 << 8 | 33 << 16 | 34ull << 32 | 50ull << 40, TSE | TXD_TCP | TXD_IP | command,
                (uint32_t)(header << 8 | mss << 16));
}

static void check_segment(unsigned i, size_t payload, bool last)
{
    const uint8_t *f = wire.frame[i].bytes;
    uint8_t length[2] = {(uint8_t)((20 + payload) >> 8), (uint8_t)(20 + payload)};
    CHECK_EQ(wire.frame[i].len, HEADERS + payload);
    CHECK_EQ(be16(f + 16), 40 + payload);
    CHECK_EQ(be16(f + 18), 0x12ff + i);
    CHECK_EQ(add(0, f + 14, 20), 0xffff);
    CHECK_EQ(be32(f + 38), 0xffffff00u + i * MSS);
    CHECK_EQ(f[47], last ? 0x19 : 0x10);
    CHECK_EQ(add(add(add(6, f + 26, 8), length, 2), f + 34, 20 + payload), 0xffff);
}

static void a_large_packet_is_segmented(void)
{
    tx_ring(RING), tcp_headers();
    for (unsigned i = 0; i < 2500; i++)
        data(HEADERS + i, &(uint8_t){(uint8_t)(i * 7)}, 1);
    tso_context(0, HEADERS, MSS, 0);
    tx_put(1, TX_DATA, DATA | TSE | HEADERS, TXD_IXSM | TXD_TXSM);
    tx_put(2, TX_DATA + HEADERS, DATA | TSE | SEND | 2500, 0);
    set(TDT, 3);
    CHECK_EQ(wire.count, 3);
    check_segment(0, 1000, false), check_segment(1, 1000, false), check_segment(2, 500, true);
    CHECK_EQ(wire.frame[2].bytes[HEADERS], (uint8_t)(2000 * 7));
    CHECK_EQ(stat(STAT_TSCTC), 1);
}

static void contexts_are_kept_apart(void)
{
    tx_ring(RING), tcp_headers();
    tso_context(0, HEADERS, MSS, 0), put_context(1, 14 | 24 << 8 | 33 << 16, TXD_IP, 0);
    tx_put(2, TX_DATA, DATA | TSE | SEND | (HEADERS + 1500), TXD_IXSM | TXD_TXSM);
    set(TDT, 3);
    CHECK_EQ(wire.count, 2);
    check_segment(0, 1000, false), check_segment(1, 500, true);
}

static void ipv6_and_udp_lengths_are_those_of_the_segment(void)
{
    uint8_t h[62] = {0};
    memcpy(h + 12, "\x86\xdd\x60", 3), h[20] = 17;
    tx_ring(RING), data(0, h, sizeof(h));
    put_context(0, 14 | 54ull << 32 | 60ull << 40, TSE, 62 << 8 | 500u << 16);
    tx_put(1, TX_DATA, DATA | TSE | SEND | (62 + 800), TXD_TXSM), set(TDT, 2);
    CHECK_EQ(wire.count, 2);
    CHECK_EQ(be16(wire.frame[0].bytes + 18), 508);
    CHECK_EQ(be16(wire.frame[0].bytes + 58), 508);
    CHECK_EQ(be16(wire.frame[1].bytes + 18), 308);
    CHECK_EQ(be16(wire.frame[1].bytes + 58), 308);
}

/* Descriptions no segment can come out of: the packet is done, nothing is sent, nothing hangs. */
static void impossible_segmentations_are_dropped(void)
{
    static const struct { unsigned header, mss, len; } rows[] = {
        {HEADERS, 0, 2000}, {0, 0, 2000}, {0, 1000, 2000}, {13, 1000, 2000}, {255, 1000, 100},
        {HEADERS, 0xffff, 2000}, {HEADERS, 1000, 10},
    };
    tx_ring(RING), tcp_headers();
    for (unsigned i = 0; i < 7; i++) {
        set(TCTL, 0), set(TDT, 0), set(TDH, 0), set(TCTL, TCTL_EN);
        tso_context(0, rows[i].header, rows[i].mss, 0);
        tx_put(1, TX_DATA, DATA | TSE | SEND | rows[i].len, TXD_IXSM | TXD_TXSM), set(TDT, 2);
        CHECK_EQ(tx_status(1) & TXD_DD, TXD_DD);
        CHECK_EQ(reg(TDH), 2);
    }
    CHECK_EQ(wire.count, 0);
}

static void headers_longer_than_a_segment_are_no_underflow(void)
{
    tx_ring(RING), tcp_headers();
    tso_context(0, 200, 10, 0);
    tx_put(1, TX_DATA, DATA | TSE | SEND | 235, TXD_IXSM | TXD_TXSM), set(TDT, 2);
    CHECK_EQ(wire.count, 4);
    CHECK_EQ(wire.frame[3].len, 205);
}

static void mixed_descriptors_follow_the_first(void)
{
    tx_ring(RING), tcp_headers();
    tso_context(0, HEADERS, MSS, 0);
    tx_put(1, TX_DATA, 2000, 0);
    tso_context(2, 0, 0, 0); /* in the middle of a packet: ignored */
    tx_put(3, TX_DATA, DATA | TSE | SEND | 500, 0), set(TDT, 4);
    CHECK_EQ(wire.count, 1);
    CHECK_EQ(wire.frame[0].len, 2500);
    tx_put(4, TX_DATA, DATA | TSE | HEADERS, 0), tx_put(5, TX_DATA, SEND | 1500, 0), set(TDT, 6);
    CHECK_EQ(wire.count, 3);
}

/* Each of these would leave less room than what was gathered, if it counted before the packet's end. */
static void a_context_amid_a_segmented_packet_is_not_its_own(void)
{
    static const struct { unsigned header, mss; } rows[] = {{0, 0}, {255, 1}, {HEADERS, 1}, {0, 0xffff}};
    for (unsigned i = 0; i < 4; i++) {
        tx_ring(RING), tcp_headers();
        wire.count = 0;
        tso_context(0, HEADERS, MSS, 0);
        tx_put(1, TX_DATA, DATA | TSE | (HEADERS + 1700), TXD_IXSM | TXD_TXSM);
        tso_context(2, rows[i].header, rows[i].mss, 0);
        tx_put(3, TX_DATA, DATA | TSE | SEND | 800, 0), set(TDT, 4);
        rig_advance(MS);
        CHECK_EQ(wire.count, 3);
        check_segment(0, 1000, false), check_segment(1, 1000, false), check_segment(2, 500, true);
    }
}

static void smallest_segments_end_and_cost_time(void)
{
    tx_ring(RING), tcp_headers();
    tso_context(0, HEADERS, 1, 0);
    tx_put(1, TX_DATA, DATA | TSE | 0xffff, TXD_IXSM | TXD_TXSM), tx_put(2, 0, DATA | TSE | SEND, 0);
    tx_put(3, TX_DATA, SEND | 64, 0), set(TDT, 4);
    CHECK_EQ(wire.count, 0xffff - HEADERS);
    CHECK_EQ(reg(TDH), 3);
    rig_advance(100 * MS);
    CHECK_EQ(wire.count, 0xffff - HEADERS + 1);
}

/* ---- hostile rings and descriptors ---- */

static void heads_and_tails_outside_the_ring_stop_it(void)
{
    static const uint32_t bad[] = {RING, RING + 1, 0xfff, 0xffff};
    tx_ring(RING), tx_put(0, TX_DATA, SEND | 64, 0);
    for (unsigned i = 0; i < 4; i++) {
        set(TDH, 0), set(TDT, bad[i]);
        CHECK_EQ(reg(TDT), bad[i]);
        set(TDH, bad[i]), set(TDT, 1);
    }
    CHECK_EQ(wire.count, 0);
    set(TDH, 0), set(TDLEN, 0), set(TDT, 1), set(TDT, 0);
    CHECK_EQ(wire.count, 0);
    set(TDLEN, 16 * RING), set(TDT, 1);
    CHECK_EQ(wire.count, 1);
}

static void a_ring_that_never_ends_a_packet_is_consumed(void)
{
    set(TDLEN, 16 * 1024), set(TDBAL, TX_RING), set(TDH, 0), set(TDT, 0);
    for (unsigned i = 0; i < 1023; i++)
        tx_put(i, TX_DATA, 1000, 0);
    tx_put(1020, TX_DATA, SEND | 1000, 0), tx_put(1021, TX_DATA, SEND | 64, 0);
    set(TCTL, TCTL_EN), set(TDT, 1022);
    rig_advance(10 * MS);
    CHECK_EQ(reg(TDH), 1022);
    CHECK_EQ(wire.count, 1); /* the rest of the long one is dropped up to its end */
    CHECK_EQ(wire.frame[0].len, 64);
}

static void packets_of_no_or_too_many_bytes_are_dropped(void)
{
    tx_ring(RING);
    tx_put(0, TX_DATA, SEND, 0), tx_put(1, TX_DATA, SEND | 13, 0), tx_put(2, TX_DATA, SEND | 0xffff, 0);
    tx_put(3, TX_DATA, DATA | SEND | 0xfffff, 0), tx_put(4, TX_DATA, DATA | TSE | SEND | 0xfffff, 0);
    tx_put(5, TX_DATA, DATA | 0x8000, 0), tx_put(6, TX_DATA, DATA | 0x8000, 0);
    tx_put(7, TX_DATA, DATA | SEND | 0x8000, 0), tx_put(8, TX_DATA, SEND | 16380, 0), set(TDT, 9);
    rig_advance(10 * MS);
    CHECK_EQ(reg(TDH), 9);
    CHECK_EQ(wire.count, 1);
    CHECK_EQ(wire.frame[0].len, 16380);
}

static void addresses_that_are_not_memory_are_dropped(void)
{
    static const uint64_t bad[] = {0xa0000, 16 << 20, 0xfee00000, NIC_BAR, NIC_BAR + TDT, UINT64_MAX - 8,
                                   1ull << 63, (16 << 20) - 10};
    tx_ring(RING);
    for (unsigned i = 0; i < 8; i++)
        tx_put(i, bad[i], SEND | 64, 0);
    set(TDT, 8);
    CHECK_EQ(reg(TDH), 8);
    CHECK_EQ(wire.count, 0);
    CHECK_EQ(tx_status(7), TXD_DD);
}

/* The class of bug in which a device writes to its own doorbell. */
static void a_ring_in_the_chips_own_registers_does_nothing(void)
{
    tx_ring(RING);
    static const uint64_t bad[] = {NIC_BAR + TDT, NIC_BAR, 0xfee00000, UINT64_MAX - 15, (16 << 20) - 16};
    for (unsigned i = 0; i < 5; i++) {
        set(TCTL, 0), set(TDBAL, (uint32_t)bad[i]), set(TDBAH, (uint32_t)(bad[i] >> 32)), set(TDH, 0);
        set(TDT, 5), set(TCTL, TCTL_EN);
        CHECK(reg(TDH) <= 1);
    }
    CHECK_EQ(wire.count, 0);
}

static void a_packet_may_be_its_own_ring(void)
{
    tx_ring(RING);
    for (unsigned i = 0; i < RING; i++)
        tx_put(i, TX_RING, SEND | 256, 0);
    set(TDT, RING - 1);
    CHECK_EQ(wire.count, RING - 1);
}

static void one_access_sends_no_more_than_its_time(void)
{
    set(TDLEN, 16 * 4096), set(TDBAL, TX_RING), set(TDH, 0), set(TDT, 0);
    for (unsigned i = 0; i < 4096; i++)
        tx_put(i, TX_DATA, SEND | 1514, 0);
    set(TCTL, TCTL_EN), set(TDT, 4095);
    CHECK(wire.count > 1 && wire.count < 10);
    CHECK(reg(TDH) < 10);
    rig_advance(SECOND);
    CHECK_EQ(wire.count, 4095);
    uint64_t took = wire.frame[WIRE_FRAMES - 1].when - wire.frame[0].when;
    CHECK(took > 240 * 12300ull && took < 260 * 12500ull); /* the wire's own speed */
}

static void loopback_ends_where_it_began(void)
{
    tx_ring(RING), rx_ring(RING, 8, RCTL_LOOPBACK | RCTL_UPE);
    data(0, frame_to(nic_mac, 100), 100);
    tx_put(0, TX_DATA, SEND | 100, 0), set(TDT, 1);
    CHECK_EQ(wire.count, 0);
    CHECK_EQ(rx_get(0).length, 104);
    CHECK_EQ(reg(RDH), 1);
    for (unsigned i = 1; i < 12; i++)
        tx_put(i, TX_DATA, SEND | 100, 0);
    set(TDT, 12); /* more than there are buffers */
    CHECK_EQ(reg(TDH), 12);
    CHECK_EQ(reg(RDH), 8);
}

static void delays_apply_to_descriptors_that_ask(void)
{
    tx_ring(RING), set(TIDV, 100), set(TADV, 150);
    tx_put(0, TX_DATA, SEND | TXD_IDE | 64, 0), set(TDT, 1);
    CHECK_EQ(reg(ICR) & ICR_TXDW, 0);
    rig_advance(80 * 1024);
    tx_put(1, TX_DATA, SEND | TXD_IDE | 64, 0), set(TDT, 2); /* starts the packet timer anew */
    rig_advance(60 * 1024);
    CHECK_EQ(reg(ICR) & ICR_TXDW, 0);
    rig_advance(10 * 1024); /* but not the absolute one */
    CHECK_EQ(reg(ICR) & ICR_TXDW, ICR_TXDW);
    tx_put(2, TX_DATA, SEND | 64, 0), set(TDT, 3);
    CHECK_EQ(reg(ICR) & ICR_TXDW, ICR_TXDW);
}

int main(void)
{
    RUN_NIC(legacy_packet_goes_out_and_is_reported);
    RUN_NIC(short_packets_are_padded_on_request);
    RUN_NIC(pieces_wait_for_the_last);
    RUN_NIC(the_ring_wraps);
    RUN_NIC(a_tail_written_before_the_enable_is_remembered);
    RUN_NIC(bus_mastering_is_obeyed);
    RUN_NIC(without_a_link_packets_are_done_and_lost);
    RUN_NIC(a_guests_own_fcs_is_removed);
    RUN_NIC(tags_are_inserted);
    RUN_NIC(legacy_checksum_is_inserted);
    RUN_NIC(context_checksums_are_inserted);
    RUN_NIC(udp_never_sends_a_checksum_of_zero);
    RUN_NIC(checksums_outside_the_packet_are_not_made);
    RUN_NIC(a_large_packet_is_segmented);
    RUN_NIC(contexts_are_kept_apart);
    RUN_NIC(ipv6_and_udp_lengths_are_those_of_the_segment);
    RUN_NIC(impossible_segmentations_are_dropped);
    RUN_NIC(headers_longer_than_a_segment_are_no_underflow);
    RUN_NIC(mixed_descriptors_follow_the_first);
    RUN_NIC(a_context_amid_a_segmented_packet_is_not_its_own);
    RUN_NIC(smallest_segments_end_and_cost_time);
    RUN_NIC(heads_and_tails_outside_the_ring_stop_it);
    RUN_NIC(a_ring_that_never_ends_a_packet_is_consumed);
    RUN_NIC(packets_of_no_or_too_many_bytes_are_dropped);
    RUN_NIC(addresses_that_are_not_memory_are_dropped);
    RUN_NIC(a_ring_in_the_chips_own_registers_does_nothing);
    RUN_NIC(a_packet_may_be_its_own_ring);
    RUN_NIC(one_access_sends_no_more_than_its_time);
    RUN_NIC(loopback_ends_where_it_began);
    RUN_NIC(delays_apply_to_descriptors_that_ask);
    return check_done();
}
