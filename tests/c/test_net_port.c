/* Proves a NIC's port: order and time of frames in, waiting, limits, the cable, and the peer that is
 * Python. */
#include "check.h"
#include "e1000_rig.h"

#include "net/queue_peer.h"

static unsigned stored_first_byte(unsigned index)
{
    uint8_t byte = 0;
    ram_read(rig, RX_DATA + index * 0x4000 + 14, &byte, 1);
    return byte;
}

static void give_at(unsigned mark, uint64_t when)
{
    uint8_t frame[64];
    memcpy(frame, frame_to(nic_mac, 64), 64);
    frame[14] = (uint8_t)mark;
    CHECK_EQ(net_deliver(port(), frame, 64, when), 0);
}

static void frames_arrive_at_their_times_in_order(void)
{
    uint64_t now = board_now(rig);
    rx_ring(RING, 15, 0);
    give_at(3, now + 3 * MS), give_at(1, now + MS), give_at(4, now + 3 * MS), give_at(2, now + 2 * MS);
    board_run_due(rig);
    CHECK_EQ(reg(RDH), 0);
    rig_advance(MS - 1);
    CHECK_EQ(reg(RDH), 0);
    rig_advance(1);
    CHECK_EQ(reg(RDH), 1);
    rig_advance(5 * MS);
    CHECK_EQ(reg(RDH), 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(stored_first_byte(i), i + 1);
}

static void a_frame_put_back_stays_first(void)
{
    rx_ring(RING, 1, 0);
    give_at(1, 0), give_at(2, 0), give_at(3, 0), board_run_due(rig);
    CHECK_EQ(reg(RDH), 1);
    give_at(4, 0), set(RDT, 5), rig_advance(0);
    CHECK_EQ(reg(RDH), 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(stored_first_byte(i), i + 1);
}

static void the_queue_is_bounded(void)
{
    struct vmk_net_counters n;
    unsigned taken = 0;
    rx_ring(RING, 0, 0);
    while (taken < 100000 && !net_deliver(port(), frame_to(nic_mac, 1514), 1514, 0))
        taken++;
    CHECK(taken > 500 && taken < 1000);
    CHECK_EQ(net_deliver(port(), frame_to(nic_mac, 1514), 1514, 0), VMK_EBUSY);
    net_counters(port(), &n);
    CHECK_EQ(n.rx_dropped, 2);
    CHECK(rig->inbox.count <= 1); /* one message, however many frames */
    board_run_due(rig);
}

static void a_full_inbox_refuses(void)
{
    struct inbox_msg msg = {.kind = INBOX_NMI, .dev = -1, .when = UINT64_MAX};
    while (!inbox_post(&rig->inbox, &msg))
        ;
    CHECK_EQ(net_deliver(port(), frame_to(nic_mac, 64), 64, 0), VMK_EBUSY);
}

static void a_pulled_cable_loses_frames_on_their_way(void)
{
    struct vmk_net_counters n;
    rx_ring(RING, 15, 0), give_at(1, board_now(rig) + MS);
    net_set_link(port(), false), rig_advance(2 * MS);
    CHECK_EQ(reg(RDH), 0);
    net_counters(port(), &n);
    CHECK_EQ(n.rx_dropped, 1);
    CHECK_EQ(n.rx_frames, 0);
}

static void counters_count(void)
{
    struct vmk_net_counters n;
    tx_ring(RING), rx_ring(RING, 15, 0);
    tx_put(0, TX_DATA, SEND | 100, 0), set(TDT, 1), give_at(1, 0), board_run_due(rig);
    net_counters(port(), &n);
    CHECK(n.tx_frames == 1 && n.tx_bytes == 100 && n.rx_frames == 1 && n.rx_bytes == 64);
}

static void a_queue_peer_keeps_frames_until_they_are_taken(void)
{
    uint8_t got[2000];
    uint64_t when;
    CHECK_EQ(queue_peer_plug(rig, 0), VMK_OK);
    rig_advance(20 * MS), tx_ring(RING);
    CHECK_EQ(queue_peer_take(rig, 0, got, sizeof(got), &when), 0);
    tx_put(0, TX_DATA, SEND | 100, 0), tx_put(1, TX_DATA, SEND | 200, 0), set(TDT, 2);
    CHECK_EQ(atomic_load(&rig->frames_out), 1);
    CHECK_EQ(queue_peer_take(rig, 0, got, sizeof(got), &when), 100);
    CHECK_EQ(when, board_now(rig));
    CHECK_EQ(queue_peer_take(rig, 0, got, 50, &when), 50);
    CHECK_EQ(atomic_load(&rig->frames_out), 0);
    CHECK_EQ(queue_peer_take(rig, 7, got, sizeof(got), &when), 0);
    CHECK_EQ(queue_peer_plug(rig, 1), VMK_EINVAL);
    tx_put(2, TX_DATA, SEND | 100, 0), set(TDT, 3); /* freed with the board */
}

static void unplugging_takes_the_link_down(void)
{
    set(IMS, ICR_LSC);
    net_plug(port(), NULL);
    CHECK(!(reg(STATUS) & STATUS_LU));
    CHECK(rig_line(NIC_LINE));
}

int main(void)
{
    RUN_NIC(frames_arrive_at_their_times_in_order);
    RUN_NIC(a_frame_put_back_stays_first);
    RUN_NIC(the_queue_is_bounded);
    RUN_NIC(a_full_inbox_refuses);
    RUN_NIC(a_pulled_cable_loses_frames_on_their_way);
    RUN_NIC(counters_count);
    RUN_NIC(a_queue_peer_keeps_frames_until_they_are_taken);
    RUN_NIC(unplugging_takes_the_link_down);
    return check_done();
}
