/* The 8254x's transmit ring.
 *
 * Follows the 8254x Software Developer's Manual, sections 3.3 to 3.5. A packet is fetched when all of its
 * descriptors are there, and its descriptors are copied once: nothing of it is kept between two visits.
 * Frames leave at once and the wire is busy for as long as they take; fetching runs ahead of it by a fixed
 * time, so a guest cannot keep the host in one register access. Left out: descriptor write-back thresholds
 * (each is written back when done), RPS as different from RS, half duplex, and inserting a frame check
 * sequence: a guest that brings its own has it removed. */
#include "dev/e1000.h"

#include <string.h>

#define DESCRIPTOR_BYTES 16
#define MOST_DESCRIPTORS 256 /* of one packet; drivers use up to about 50 */
#define AHEAD_NS 64000ull
#define DESCRIPTOR_NS 100ull
#define WIRE_OVERHEAD 24     /* preamble, FCS, gap */
#define SHORTEST 60

static uint32_t ring_entries(const struct e1000 *s)
{
    return s->reg[W_TDLEN] / DESCRIPTOR_BYTES;
}

static uint64_t slot(const struct e1000 *s, uint32_t index)
{
    return (s->reg[W_TDBAL] | (uint64_t)s->reg[W_TDBAH] << 32) + (uint64_t)index * DESCRIPTOR_BYTES;
}

/* ---- one frame ---- */

static size_t insert_tag(const struct e1000 *s, uint8_t *frame, size_t len, const uint8_t *tag)
{
    memmove(frame + 16, frame + 12, len - 12);
    frame[12] = (uint8_t)(s->reg[W_VET] >> 8);
    frame[13] = (uint8_t)s->reg[W_VET];
    frame[14] = tag[0];
    frame[15] = tag[1];
    return len + 4;
}

static uint64_t wire_ns(const struct e1000 *s, size_t len)
{
    static const uint16_t octet_ns[3] = {800, 80, 8};
    return (len + WIRE_OVERHEAD) * octet_ns[e1000_link_speed(s)];
}

static bool loops_back(const struct e1000 *s)
{
    return s->reg[W_RCTL] & RCTL_LOOPBACK || s->phy[PHY_CTRL] & PHY_CTRL_LOOPBACK;
}

/* `frame` has room for a tag and for padding. A frame that loops back and finds no buffer is lost: receiving
 * never sends, so this does not nest. */
void e1000_tx_frame(struct dev *d, uint8_t *frame, size_t len, const uint8_t *tag)
{
    struct e1000 *s = e1000_of(d);
    if (tag)
        len = insert_tag(s, frame, len, tag);
    if (len < SHORTEST && s->reg[W_TCTL] & TCTL_PSP) {
        memset(frame + len, 0, SHORTEST - len);
        len = SHORTEST;
    }
    s->tx_until += wire_ns(s, len);
    e1000_count_frame(s, frame, len, true);
    if (loops_back(s))
        (void)e1000_receive(d, frame, len);
    else
        net_send(e1000_host(d)->port, frame, len);
}

/* ---- one packet ---- */

struct packet {
    struct e1000_tx_desc desc[MOST_DESCRIPTORS];
    unsigned count;
    bool whole; /* ends with EOP */
};

static bool is_context(const struct e1000_tx_desc *t)
{
    return t->command & TXD_DEXT && !(t->command & TXD_DTYP);
}

static size_t length_of(const struct e1000_tx_desc *t)
{
    return t->command & (t->command & TXD_DEXT ? 0xfffff : 0xffff);
}

/* Everything the guest points to, one piece behind the other, in h->packet. 0 if it does not fit or is not
 * memory. */
static size_t gather(struct dev *d, const struct packet *p)
{
    struct e1000_host *h = e1000_host(d);
    size_t total = 0;
    for (unsigned i = 0; i < p->count; i++) {
        const struct e1000_tx_desc *t = &p->desc[i];
        size_t len = is_context(t) ? 0 : length_of(t);
        if (len > sizeof(h->packet) - total || ram_read(d->board, t->address, h->packet + total, len))
            return 0;
        total += len;
    }
    return total;
}

/* The legacy form asks for one checksum in the descriptor itself. */
static void legacy_checksum(struct dev *d, const struct packet *p, size_t len)
{
    for (unsigned i = 0; i < p->count; i++) {
        const struct e1000_tx_desc *t = &p->desc[i];
        if (t->command & TXD_DEXT || !(t->command & TXD_IC_OR_TSE))
            continue;
        e1000_checksum(e1000_host(d)->packet, len, t->status >> 8 & 0xff, t->command >> 16 & 0xff, 0, false);
        return;
    }
}

static void send_plain(struct dev *d, const struct packet *p, size_t len, const uint8_t *tag)
{
    struct e1000_host *h = e1000_host(d);
    const struct e1000_tx_desc *first = &p->desc[0], *last = &p->desc[p->count - 1];

    if (!(last->command & TXD_IFCS))
        len = len > E1000_FCS ? len - E1000_FCS : 0;
    if (len < 14 || len > NET_FRAME_MAX - 4)
        return;
    if (first->command & TXD_DEXT)
        e1000_checksum_plain(e1000_of(d), h->packet, len, first->status);
    legacy_checksum(d, p, len);
    e1000_tx_frame(d, h->packet, len, tag);
}

/* The first descriptor says how the whole packet is treated, whatever the others are. */
static void send_packet(struct dev *d, const struct packet *p)
{
    struct e1000 *s = e1000_of(d);
    const struct e1000_tx_desc *first = &p->desc[0];
    uint32_t segmented = first->command & TXD_DEXT && first->command & TXD_IC_OR_TSE;
    const struct e1000_tx_desc *tagged = segmented ? first : &p->desc[p->count - 1];
    bool tags = s->reg[W_CTRL] & CTRL_VME && tagged->command & TXD_VLE;
    uint8_t tag[2] = {(uint8_t)(tagged->status >> 24), (uint8_t)(tagged->status >> 16)};

    size_t len = gather(d, p);
    if (segmented)
        e1000_segment(d, len, first->status, tags ? tag : NULL);
    else
        send_plain(d, p, len, tags ? tag : NULL);
}

/* ---- the ring ---- */

/* Copies descriptors from the head on, up to a context, which stands alone, or the end of a packet. False if
 * the ring is not memory. */
static bool fetch(struct dev *d, struct packet *p)
{
    struct e1000 *s = e1000_of(d);
    uint32_t entries = ring_entries(s), index = s->reg[W_TDH];

    for (p->count = 0, p->whole = false; p->count < MOST_DESCRIPTORS && index != s->reg[W_TDT];) {
        struct e1000_tx_desc *t = &p->desc[p->count];
        if (ram_read(d->board, slot(s, index), t, sizeof(*t)))
            return false;
        index = index + 1 == entries ? 0 : index + 1;
        p->count++;
        if (is_context(t) && p->count == 1)
            return true;
        if (!is_context(t) && t->command & TXD_EOP) {
            p->whole = true;
            return true;
        }
    }
    return true;
}

/* Marks descriptors as done where that was asked for, and moves the head on. */
static void retire(struct dev *d, const struct packet *p)
{
    struct e1000 *s = e1000_of(d);
    uint32_t entries = ring_entries(s), index = s->reg[W_TDH];
    bool report = false, at_once = false;

    for (unsigned i = 0; i < p->count; i++) {
        const struct e1000_tx_desc *t = &p->desc[i];
        uint32_t status = (t->status & ~(uint32_t)TXD_STATUS) | TXD_DD;
        if (t->command & (TXD_RS | TXD_RPS)) {
            (void)ram_write(d->board, slot(s, index) + 12, &status, sizeof(status));
            report = true;
            at_once |= !(t->command & TXD_IDE);
        }
        index = index + 1 == entries ? 0 : index + 1;
    }
    s->reg[W_TDH] = index;
    s->tx_until += p->count * DESCRIPTOR_NS;
    if (report)
        e1000_cause_tx(d, !at_once);
    if (index == s->reg[W_TDT])
        e1000_cause(d, ICR_TXQE);
}

static void keep_context(struct e1000 *s, const struct e1000_tx_desc *t)
{
    uint64_t *to = s->context[t->command & TXD_IC_OR_TSE ? E1000_TSO : E1000_PLAIN];
    to[0] = t->address;
    to[1] = t->command | (uint64_t)t->status << 32;
}

/* False: nothing to do before the guest or the clock moves on. */
static bool advance(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    struct packet p;

    if (!fetch(d, &p) || !p.count)
        return false;
    if (is_context(&p.desc[0]) && p.count == 1 && !s->tx_dropping) {
        keep_context(s, &p.desc[0]);
    } else if (p.whole) {
        if (!s->tx_dropping)
            send_packet(d, &p);
        s->tx_dropping = 0;
    } else if (p.count == MOST_DESCRIPTORS) {
        s->tx_dropping = 1;
    } else if (!s->tx_dropping) {
        return false;
    }
    retire(d, &p);
    return true;
}

static bool can_send(struct dev *d)
{
    const struct e1000 *s = e1000_of(d);
    return s->reg[W_TCTL] & TCTL_EN && s->reg[W_TDH] < ring_entries(s) && s->reg[W_TDT] < ring_entries(s) &&
           pci_may_dma(e1000_host(d)->func);
}

void e1000_tx_run(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    uint64_t now = board_now(d->board);

    s->tx_more = 0;
    if (s->tx_until < now)
        s->tx_until = now;
    while (can_send(d) && s->reg[W_TDH] != s->reg[W_TDT]) {
        if (s->tx_until > now + AHEAD_NS) {
            s->tx_more = 1;
            return;
        }
        if (!advance(d))
            return;
    }
}

uint64_t e1000_tx_deadline(const struct e1000 *s)
{
    return s->tx_more ? s->tx_until : DEV_NEVER;
}
