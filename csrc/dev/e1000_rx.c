/* The 8254x's receive ring.
 *
 * Follows the 8254x Software Developer's Manual, section 3.2. A frame is stored only when all the buffers
 * it needs are there; otherwise its port keeps it, as the packet buffer would, and the guest is told by
 * RXO and RNBC. The byte with DD is written after everything else of a descriptor. A buffer at address 0
 * takes nothing. Checksums are verified for IPv4, for TCP and UDP in unfragmented packets of it. Left out:
 * splitting headers, small packet detect, storing bad frames (there are none). */
#include "dev/e1000.h"

#include <string.h>

#define DESCRIPTOR_BYTES 16
#define MOST_DESCRIPTORS 128 /* of one frame: 16 KiB in the smallest buffers take 65 */
#define SHORTEST 60
#define IP_TCP 6
#define IP_UDP 17

struct rx_desc {
    uint64_t address;
    uint16_t length, checksum;
    uint8_t status, errors;
    uint16_t special;
};

/* A frame as the guest will see it. */
struct incoming {
    const uint8_t *bytes; /* without a stripped tag; padded, FCS appended */
    size_t len;
    uint16_t checksum, special;
    uint8_t status, errors;
};

static uint32_t ring_entries(const struct e1000 *s)
{
    return s->reg[W_RDLEN] / DESCRIPTOR_BYTES;
}

static uint64_t slot(const struct e1000 *s, uint32_t index)
{
    return (s->reg[W_RDBAL] | (uint64_t)s->reg[W_RDBAH] << 32) + (uint64_t)index * DESCRIPTOR_BYTES;
}

static size_t buffer_size(const struct e1000 *s)
{
    unsigned code = s->reg[W_RCTL] >> RCTL_BSIZE_SHIFT & 3;
    if (s->reg[W_RCTL] & RCTL_BSEX && code)
        return 32768u >> code;
    return 2048u >> (s->reg[W_RCTL] & RCTL_BSEX ? 0 : code);
}

/* Descriptors the guest has given; none while head or tail lie outside the ring. */
static uint32_t free_descriptors(const struct e1000 *s)
{
    uint32_t entries = ring_entries(s), head = s->reg[W_RDH], tail = s->reg[W_RDT];
    if (head >= entries || tail >= entries)
        return 0;
    return tail >= head ? tail - head : tail + entries - head;
}

/* ---- checksums ---- */

static unsigned word_at(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static uint32_t pseudo_header(const uint8_t *ip, size_t l4_len)
{
    uint32_t sum = e1000_sum(ip + 12, 8);
    return sum + ip[9] + (uint32_t)l4_len;
}

static void check_l4(const uint8_t *ip, size_t header, size_t total, struct incoming *in)
{
    const uint8_t *l4 = ip + header;
    size_t len = total - header;
    bool tcp = ip[9] == IP_TCP, udp = ip[9] == IP_UDP;

    if ((tcp && len < 20) || (udp && len < 8) || !(tcp || udp))
        return;
    in->status |= RXD_TCPCS;
    if (udp && !word_at(l4 + 6))
        return;
    uint32_t sum = e1000_sum(l4, len) + pseudo_header(ip, len);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    if (sum != 0xffff)
        in->errors |= RXD_TCPE;
}

/* `frame` without its FCS. */
static void check_ip(const struct e1000 *s, const uint8_t *frame, size_t len, struct incoming *in)
{
    size_t at = word_at(frame + 12) == 0x8100 ? 18 : 14;
    if (len < at + 20 || word_at(frame + at - 2) != 0x0800)
        return;
    const uint8_t *ip = frame + at;
    size_t header = (size_t)(ip[0] & 0xf) * 4, total = word_at(ip + 2);
    if (ip[0] >> 4 != 4 || header < 20 || total < header || total > len - at)
        return;
    if (s->reg[W_RXCSUM] & RXCSUM_IPOFL) {
        in->status |= RXD_IPCS;
        if (e1000_sum(ip, header) != 0xffff)
            in->errors |= RXD_IPE;
    }
    bool fragment = word_at(ip + 6) & 0x3fff;
    if (s->reg[W_RXCSUM] & RXCSUM_TUOFL && !fragment)
        check_l4(ip, header, total, in);
}

static void check(const struct e1000 *s, const uint8_t *frame, size_t len, struct incoming *in)
{
    unsigned start = s->reg[W_RXCSUM] & RXCSUM_PCSS;
    in->checksum = start < len ? e1000_sum(frame + start, len - start) : 0;
    check_ip(s, frame, len, in);
    if (!(in->status & (RXD_IPCS | RXD_TCPCS)))
        in->status |= RXD_IXSM;
}

/* ---- from the wire to what the guest sees ---- */

/* The guest gets four bytes of FCS unless it has them stripped; nobody looks at their value. */
static struct incoming prepare(struct dev *d, const uint8_t *frame, size_t len)
{
    struct e1000 *s = e1000_of(d);
    uint8_t *to = e1000_host(d)->frame;
    struct incoming in = {.status = RXD_DD | RXD_EOP};
    bool strip = s->reg[W_CTRL] & CTRL_VME && e1000_is_tagged(s, frame, len);

    if (frame != to)
        memcpy(to, frame, len);
    if (strip) {
        in.special = (uint16_t)word_at(frame + 14);
        in.status |= RXD_VP;
        memmove(to + 12, to + 16, len - 16);
        len -= 4;
    }
    if (len < SHORTEST) {
        memset(to + len, 0, SHORTEST - len);
        len = SHORTEST;
    }
    check(s, to, len, &in);
    memset(to + len, 0, E1000_FCS);
    in.bytes = to;
    in.len = len + (s->reg[W_RCTL] & RCTL_SECRC ? 0 : E1000_FCS);
    return in;
}

/* ---- the ring ---- */

struct chain {
    struct rx_desc desc[MOST_DESCRIPTORS];
    unsigned count;
    size_t room;
};

static uint32_t next_index(const struct e1000 *s, uint32_t index)
{
    return index + 1 == ring_entries(s) ? 0 : index + 1;
}

/* Copies as many descriptors as `len` bytes need. False if the ring is not memory. */
static bool fetch(struct dev *d, size_t len, struct chain *c)
{
    const struct e1000 *s = e1000_of(d);
    uint32_t index = s->reg[W_RDH], given = free_descriptors(s);

    c->count = 0;
    c->room = 0;
    while (c->count < given && c->count < MOST_DESCRIPTORS && c->room < len) {
        struct rx_desc *r = &c->desc[c->count];
        if (ram_read(d->board, slot(s, index), r, sizeof(*r)))
            return false;
        c->room += r->address ? buffer_size(s) : 0;
        c->count++;
        index = next_index(s, index);
    }
    return true;
}

static void write_back(struct dev *d, uint32_t index, const struct rx_desc *r)
{
    uint64_t at = slot(e1000_of(d), index);
    uint32_t done = r->status | (uint32_t)r->errors << 8 | (uint32_t)r->special << 16;
    (void)ram_write(d->board, at + 8, &r->length, 4);
    (void)ram_write(d->board, at + 12, &done, 4);
}

static void store(struct dev *d, const struct incoming *in, struct chain *c)
{
    struct e1000 *s = e1000_of(d);
    size_t done = 0, size = buffer_size(s);

    for (unsigned i = 0; i < c->count; i++) {
        struct rx_desc *r = &c->desc[i];
        size_t left = in->len - done, n = !r->address ? 0 : left < size ? left : size;
        bool last = i + 1 == c->count;
        if (n && ram_write(d->board, r->address, in->bytes + done, n))
            n = 0; /* the guest gave a buffer that is not memory: the bytes are gone, as on the bus */
        r->length = (uint16_t)n;
        done += r->address ? (left < size ? left : size) : 0;
        r->checksum = in->checksum;
        r->status = last ? in->status : RXD_DD;
        r->errors = last ? in->errors : 0;
        r->special = last ? in->special : 0;
        write_back(d, s->reg[W_RDH], r);
        s->reg[W_RDH] = next_index(s, s->reg[W_RDH]);
    }
}

static void tell(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    uint32_t threshold = ring_entries(s) >> ((s->reg[W_RCTL] >> RCTL_RDMTS_SHIFT & 3) + 1);
    e1000_cause_rx(d);
    if (free_descriptors(s) <= threshold)
        e1000_cause(d, ICR_RXDMT0);
}

/* The buffers given are not enough: false, to be asked again, if more could help. */
static bool overrun(struct dev *d, const struct chain *c)
{
    struct e1000 *s = e1000_of(d);
    bool never = c->count == MOST_DESCRIPTORS || c->count + 1 >= ring_entries(s);
    e1000_count(s, never ? STAT_MPC : STAT_RNBC, 1);
    e1000_cause(d, ICR_RXO);
    return never;
}

static bool can_receive(const struct dev *d)
{
    const struct e1000 *s = e1000_of(d);
    return s->reg[W_RCTL] & RCTL_EN && ring_entries(s) && s->reg[W_RDH] < ring_entries(s) &&
           pci_may_dma(e1000_host(d)->func);
}

bool e1000_receive(struct dev *d, const uint8_t *frame, size_t len)
{
    struct e1000 *s = e1000_of(d);
    struct chain c;

    if (!can_receive(d))
        return true;
    if (e1000_too_long(s, len) || !e1000_wants(s, frame, len)) {
        e1000_count(s, STAT_TPR, 1);
        e1000_count(s, STAT_ROC, e1000_too_long(s, len));
        return true;
    }
    struct incoming in = prepare(d, frame, len);
    if (!fetch(d, in.len, &c))
        return true;
    if (c.room < in.len)
        return overrun(d, &c);
    e1000_count_frame(s, in.bytes, in.len - (s->reg[W_RCTL] & RCTL_SECRC ? 0 : E1000_FCS), false);
    store(d, &in, &c);
    tell(d);
    return true;
}
