/* NIC ports and what is plugged in, without a NIC: a chip that only notes what it is given, on a board with a
 * manual clock; switch, sockets and captures with all their threads, under ASan and UBSan. */
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "net/fd_peer.h"
#include "net/frames.h"
#include "net/impair.h"
#include "net/pcapng.h"
#include "net/port.h"
#include "net/switch.h"
#include "rig.h"

#define NOTES 4096

struct note {
    uint64_t when;
    size_t len;
    uint8_t first, mark, last; /* bytes 0, 6 and the last */
};

/* ---- the chip ---- */

static struct net_port *port;
static struct note got[NOTES], sent[NOTES];
static unsigned ngot, nsent, closed, alarms;
static bool full;
static uint64_t alarm_at;

struct nothing {
    uint8_t unused;
};
static const struct state_field fields[] = {FIELD(struct nothing, unused, uint8_t)};

static void note(struct note *notes, unsigned *n, const uint8_t *frame, size_t len, uint64_t when)
{
    if (*n < NOTES)
        notes[(*n)++] = (struct note){when, len, frame[0], frame[6], frame[len - 1]};
}

static bool chip_receive(struct dev *d, const uint8_t *frame, size_t len)
{
    if (full)
        return false;
    note(got, &ngot, frame, len, board_now(d->board));
    return true;
}

static void chip_link(struct dev *d, bool up) { (void)d, (void)up; }

static int chip_init(struct dev *d)
{
    port = net_attach(d->board, d, chip_receive, chip_link);
    return port ? 0 : VMK_ENOMEM;
}

static void chip_reset(struct dev *d) { (void)d; }
static void chip_event(struct dev *d, const struct inbox_msg *m) { (void)d, (void)m; net_event(port); }
static uint64_t chip_deadline(struct dev *d) { (void)d; return net_deadline(port); }
static void chip_tick(struct dev *d, uint64_t now) { (void)d; net_run_due(port, now); }
static void chip_destroy(struct dev *d) { (void)d; net_detach(port); }

static const struct dev_class chip_class = {
    .name = "noter", .version = 1, .size = sizeof(struct nothing), .fields = fields, .nfields = 1,
    .init = chip_init, .reset = chip_reset, .event = chip_event, .deadline = chip_deadline,
    .tick = chip_tick, .destroy = chip_destroy,
};

/* ---- its peer ---- */

static void peer_send(void *ctx, const uint8_t *frame, size_t len, uint64_t now)
{
    (void)ctx;
    note(sent, &nsent, frame, len, now);
    if (alarm_at)
        net_alarm(port, alarm_at);
    alarm_at = 0;
}

static void peer_close(void *ctx) { (void)ctx; closed++; }
static void peer_alarm(void *ctx, uint64_t now) { (void)ctx; alarms++; CHECK_EQ(now, board_now(rig)); }

static struct dev *chip;

static void begin(void)
{
    ngot = nsent = closed = alarms = 0;
    full = false;
    rig_begin();
    chip = board_add(rig, &chip_class);
    CHECK(chip != NULL);
    net_plug(port, &(struct net_peer){.send = peer_send, .close = peer_close, .alarm = peer_alarm});
}

static const uint8_t *frame_of(uint8_t mark, size_t len)
{
    static uint8_t frame[NET_FRAME_MAX + 1];
    memset(frame, 0, sizeof(frame));
    memset(frame, 0xff, 6);
    frame[6] = mark;
    frame[len ? len - 1 : 0] = 0x5a;
    return frame;
}

/* The board looks at its inbox as a vCPU's safe point does. */
static void look(void)
{
    board_run_due(rig);
}

static int deliver(uint8_t mark, uint64_t when)
{
    return net_deliver(port, frame_of(mark, 60), 60, when);
}

static void send_out(uint8_t mark)
{
    net_send(port, frame_of(mark, 60), 60);
    dev_rearm(chip);
}

/* ---- the port ---- */

static void frames_come_in_the_order_of_their_times(void)
{
    begin();
    uint64_t now = board_now(rig);
    CHECK_EQ(deliver(3, now + 300), 0);
    CHECK_EQ(deliver(1, now + 100), 0);
    CHECK_EQ(deliver(4, now + 300), 0);
    CHECK_EQ(deliver(0, 0), 0);
    CHECK_EQ(deliver(2, now + 200), 0);
    look();
    rig_advance(1000);
    CHECK_EQ(ngot, 5);
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(got[i].mark, i);
    CHECK_EQ(got[1].when, now + 100);
    CHECK_EQ(got[4].when, now + 300);
    rig_end();
    CHECK_EQ(closed, 1);
}

static void frames_wait_for_buffers(void)
{
    begin();
    full = true;
    for (uint8_t i = 0; i < 3; i++)
        CHECK_EQ(deliver(i, 0), 0);
    look();
    CHECK_EQ(ngot, 0);
    full = false;
    rig_advance(1000);
    CHECK_EQ(ngot, 0);
    net_ready(port);
    dev_rearm(chip);
    rig_advance(1000);
    CHECK_EQ(ngot, 3);
    CHECK_EQ(got[0].mark, 0);
    CHECK_EQ(got[2].mark, 2);
    rig_end();
}

static void the_queue_has_an_end(void)
{
    struct vmk_net_counters count;
    unsigned taken = 0;
    begin();
    while (taken < 100000 && deliver(1, 0) == 0)
        taken++;
    CHECK(taken > 1000 && taken < 100000);
    CHECK_EQ(deliver(1, 0), VMK_EBUSY);
    net_counters(port, &count);
    CHECK_EQ(count.rx_dropped, 2);
    look();
    CHECK_EQ(deliver(1, 0), 0);
    rig_end();
}

static void frames_of_no_possible_size(void)
{
    struct vmk_net_counters count;
    begin();
    CHECK_EQ(net_deliver(port, frame_of(1, 13), 13, 0), VMK_EINVAL);
    CHECK_EQ(net_deliver(port, frame_of(1, NET_FRAME_MAX + 1), NET_FRAME_MAX + 1, 0), VMK_EINVAL);
    CHECK_EQ(net_deliver(port, frame_of(1, NET_FRAME_MAX), NET_FRAME_MAX, 0), 0);
    net_send(port, frame_of(1, 13), 13);
    net_send(port, frame_of(1, NET_FRAME_MAX + 1), NET_FRAME_MAX + 1);
    net_counters(port, &count);
    CHECK_EQ(count.tx_dropped, 2);
    CHECK_EQ(nsent, 0);
    rig_end();
}

static void a_pulled_cable_carries_nothing(void)
{
    struct vmk_net_counters count;
    begin();
    net_set_link(port, false);
    send_out(1);
    CHECK_EQ(deliver(1, 0), 0);
    look();
    net_counters(port, &count);
    CHECK_EQ(nsent + ngot, 0);
    CHECK_EQ(count.tx_dropped, 1);
    CHECK_EQ(count.rx_dropped, 1);
    rig_end();
}

static void an_alarm_rings_once_at_its_time(void)
{
    begin();
    alarm_at = board_now(rig) + 500;
    send_out(1);
    rig_advance(499);
    CHECK_EQ(alarms, 0);
    rig_advance(1);
    CHECK_EQ(alarms, 1);
    rig_advance(MS);
    CHECK_EQ(alarms, 1);
    rig_end();
}

/* ---- bad lines ---- */

static void set_line(uint32_t loss, uint32_t corrupt, uint64_t delay)
{
    struct net_impair line = {.random = 7, .loss = loss, .corrupt = corrupt, .delay = delay};
    net_impair(port, &line, &line);
}

static void delay_works_both_ways(void)
{
    begin();
    set_line(0, 0, 1000);
    uint64_t now = board_now(rig);
    send_out(1);
    send_out(2);
    CHECK_EQ(deliver(3, now + 50), 0);
    CHECK_EQ(nsent, 0);
    look();
    rig_advance(5000);
    CHECK_EQ(nsent, 2);
    CHECK_EQ(sent[0].when, now + 1000);
    CHECK_EQ(sent[1].mark, 2);
    CHECK_EQ(ngot, 1);
    CHECK_EQ(got[0].when, now + 1050);
    rig_end();
}

static unsigned lose_some(uint32_t loss, uint64_t *which)
{
    begin();
    set_line(loss, 0, 0);
    for (unsigned i = 0; i < 64; i++)
        CHECK_EQ(deliver((uint8_t)i, 0), 0);
    look();
    unsigned n = ngot;
    *which = 0;
    for (unsigned i = 0; i < n; i++)
        *which |= 1ull << got[i].mark;
    rig_end();
    return n;
}

static void loss_is_what_was_asked_and_the_same_again(void)
{
    uint64_t first, second;
    CHECK_EQ(lose_some(UINT32_MAX, &first), 0);
    CHECK_EQ(lose_some(0, &first), 64);
    unsigned n = lose_some(1u << 31, &first);
    CHECK(n > 16 && n < 48);
    CHECK_EQ(lose_some(1u << 31, &second), n);
    CHECK_EQ(first, second);
}

static void corruption_flips_one_bit(void)
{
    struct net_impair line = {.random = 1, .corrupt = UINT32_MAX};
    uint64_t places = 0;
    for (unsigned i = 0; i < 200; i++) {
        uint8_t frame[64] = {0};
        unsigned bits = 0;
        CHECK(impair_frame(&line, frame, sizeof(frame)));
        for (unsigned at = 0; at < sizeof(frame); at++) {
            bits += (unsigned)__builtin_popcount(frame[at]);
            places |= frame[at] ? 1ull << at : 0;
        }
        CHECK_EQ(bits, 1);
    }
    CHECK(__builtin_popcountll(places) > 48);
}

static void a_line_holds_so_much_and_no_more(void)
{
    begin();
    set_line(0, 0, SECOND);
    for (unsigned i = 0; i < 100000; i++)
        net_send(port, frame_of(1, 60), 60);
    dev_rearm(chip);
    rig_advance(2 * SECOND);
    CHECK(nsent == NOTES);
    rig_end();
}

static void a_cable_that_is_replaced_takes_its_frames_along(void)
{
    begin();
    set_line(0, 0, 1000);
    send_out(1);
    CHECK_EQ(deliver(1, 0), 0);
    look();
    net_plug(port, &(struct net_peer){.send = peer_send});
    rig_advance(5000);
    CHECK_EQ(closed, 1);
    CHECK_EQ(nsent + ngot, 0);
    rig_end();
}

/* ---- captures ---- */

static uint32_t word(const uint8_t *b) { uint32_t w; memcpy(&w, b, 4); return w; }

static void a_capture_is_blocks_with_their_lengths(void)
{
    static uint8_t file[200000];
    uint32_t types[16] = {0};
    FILE *f = tmpfile();
    struct pcapng *p = pcapng_open(dup(fileno(f)), "nic0");
    for (size_t len = 14; len <= NET_FRAME_MAX; len = len < 20 ? len + 1 : len * 2 + 1)
        pcapng_packet(p, len & 1, frame_of(1, len), len, 0x123456789abcull);
    pcapng_close(p);
    rewind(f);
    size_t size = fread(file, 1, sizeof(file), f), at = 0;
    while (at + 12 <= size) {
        uint32_t type = word(file + at), len = word(file + at + 4);
        CHECK(len >= 12 && len % 4 == 0 && at + len <= size);
        CHECK_EQ(word(file + at + len - 4), len);
        types[type & 15]++;
        if (type == 6) {
            CHECK_EQ(word(file + at + 12), 0x1234);
            CHECK_EQ(word(file + at + 16), 0x56789abc);
        }
        at += len;
    }
    CHECK_EQ(at, size);
    CHECK_EQ(types[10], 1);
    CHECK_EQ(types[1], 1);
    CHECK(types[6] > 10);
    fclose(f);
}

static void a_full_disk_ends_the_capture_only(void)
{
    FILE *f = fopen("/dev/full", "w");
    CHECK(pcapng_open(dup(fileno(f)), "nic0") == NULL);
    fclose(f);
}

/* ---- a switch, two cables, and threads on all sides ---- */

#define BLAST 20000u

struct blaster {
    int fd;
    uint8_t source;
};

static void *blast(void *ctx)
{
    const struct blaster *b = ctx;
    uint8_t frame[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, b->source};
    for (unsigned i = 0; i < BLAST; i++)
        if (send(b->fd, frame, sizeof(frame), MSG_NOSIGNAL) < 0)
            break;
    return NULL;
}

static void *drain(void *ctx)
{
    uint8_t buffer[4096];
    const struct blaster *b = ctx;
    while (recv(b->fd, buffer, sizeof(buffer), 0) > 0)
        continue;
    return NULL;
}

/* Two ends send to each other while ports come and go; the second end is pulled in the middle of it. */
static void cables_may_be_pulled_at_any_time(void)
{
    struct vmk_switch *sw = vmk_switch_create(0);
    struct blaster end[2];
    pthread_t senders[2], drains[2];
    int ports[2];
    for (unsigned i = 0; i < 2; i++) {
        int pair[2];
        struct net_sink sink;
        struct net_peer peer;
        CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
        ports[i] = switch_add(sw, 0, &sink);
        CHECK_EQ(fd_peer_open(&sink, pair[0], VMK_FRAMING_DGRAM, &peer), 0);
        switch_connect(sw, ports[i], &peer);
        end[i] = (struct blaster){.fd = pair[1], .source = (uint8_t)i};
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_create(&senders[i], NULL, blast, &end[i]);
        pthread_create(&drains[i], NULL, drain, &end[i]);
    }
    for (unsigned i = 0; i < 200; i++) {
        struct net_sink sink;
        CHECK_EQ(switch_remove(sw, switch_add(sw, 0, &sink)), 0);
    }
    CHECK_EQ(switch_remove(sw, ports[1]), 0);
    CHECK_EQ(switch_remove(sw, ports[1]), VMK_EINVAL);
    pthread_join(senders[0], NULL);
    vmk_switch_release(sw);
    for (unsigned i = 0; i < 2; i++) {
        shutdown(end[i].fd, SHUT_RDWR);
        pthread_join(drains[i], NULL);
    }
    pthread_join(senders[1], NULL);
    close(end[0].fd);
    close(end[1].fd);
}

int main(void)
{
    RUN(frames_come_in_the_order_of_their_times);
    RUN(frames_wait_for_buffers);
    RUN(the_queue_has_an_end);
    RUN(frames_of_no_possible_size);
    RUN(a_pulled_cable_carries_nothing);
    RUN(an_alarm_rings_once_at_its_time);
    RUN(delay_works_both_ways);
    RUN(loss_is_what_was_asked_and_the_same_again);
    RUN(corruption_flips_one_bit);
    RUN(a_line_holds_so_much_and_no_more);
    RUN(a_cable_that_is_replaced_takes_its_frames_along);
    RUN(a_capture_is_blocks_with_their_lengths);
    RUN(a_full_disk_ends_the_capture_only);
    RUN(cables_may_be_pulled_at_any_time);
    return check_done();
}
