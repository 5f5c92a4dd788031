/* What the 8254x does to a packet on its way out: checksums, and cutting a large one into segments.
 *
 * Follows the 8254x Software Developer's Manual, sections 3.3.6 (context descriptors), 3.4 and 3.5 (TCP
 * segmentation). Offsets come from the guest and are checked against the packet: a checksum whose place or
 * start lies outside is not made. IPv6's payload length is that of the segment minus 40 bytes of header, as
 * on the wire. Left out: IP options that would have to change from one segment to the next. */
#include "dev/e1000.h"

#include <string.h>

#define TCP_FIN_PSH 0x09
#define TCP_SEQUENCE 4
#define TCP_FLAGS 13
#define UDP_LENGTH 4
#define IP_LENGTH 2
#define IP_ID 4
#define IP6_PAYLOAD 4
#define IP6_HEADER 40

struct context {
    uint8_t ip_start, ip_at, l4_start, l4_at, header;
    uint16_t ip_end, l4_end, mss;
    bool tcp, ip4;
};

static struct context unpack(const uint64_t raw[2])
{
    return (struct context){
        .ip_start = (uint8_t)raw[0], .ip_at = (uint8_t)(raw[0] >> 8), .ip_end = (uint16_t)(raw[0] >> 16),
        .l4_start = (uint8_t)(raw[0] >> 32), .l4_at = (uint8_t)(raw[0] >> 40),
        .l4_end = (uint16_t)(raw[0] >> 48), .header = (uint8_t)(raw[1] >> 40),
        .mss = (uint16_t)(raw[1] >> 48), .tcp = raw[1] & TXD_TCP, .ip4 = raw[1] & TXD_IP,
    };
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* The one's complement sum, not inverted. It is the same in either order of bytes but for the order of its
 * own (RFC 1071, section 2), so it is taken in wide words as they lie in memory. */
uint16_t e1000_sum(const uint8_t *bytes, size_t len)
{
    uint64_t low = 0, high = 0, word;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, bytes + i, 8);
        low += (uint32_t)word;
        high += word >> 32;
    }
    word = 0;
    memcpy(&word, bytes + i, len - i);
    low += (uint32_t)word;
    return __builtin_bswap16(fold(low + high + (word >> 32)));
}

/* Over [start, end], or to the packet's end if `end` is 0 or beyond. */
void e1000_checksum(uint8_t *packet, size_t len, unsigned start, unsigned at, unsigned end, bool udp)
{
    size_t stop = end && end < len ? (size_t)end + 1 : len;
    if (start >= stop || at + 2 > len)
        return;
    uint16_t sum = (uint16_t)~e1000_sum(packet + start, stop - start);
    put16(packet + at, udp && !sum ? 0xffff : sum);
}

void e1000_checksum_plain(const struct e1000 *s, uint8_t *packet, size_t len, uint32_t options)
{
    struct context c = unpack(s->context[E1000_PLAIN]);
    if (options & TXD_TXSM)
        e1000_checksum(packet, len, c.l4_start, c.l4_at, c.l4_end, !c.tcp);
    if (options & TXD_IXSM)
        e1000_checksum(packet, len, c.ip_start, c.ip_at, c.ip_end, false);
}

/* ---- segmentation ---- */

struct segment {
    unsigned number;
    size_t len, payload; /* of the frame, and what of it lies behind the headers */
    bool last;
};

static void number_ip(const struct context *c, uint8_t *frame, const struct segment *g)
{
    uint8_t *ip = frame + c->ip_start;
    size_t room = c->header > c->ip_start ? c->header - c->ip_start : 0;
    if (c->ip4 && room >= IP_ID + 2) {
        put16(ip + IP_LENGTH, (uint32_t)(g->len - c->ip_start));
        put16(ip + IP_ID, get16(ip + IP_ID) + g->number);
    } else if (!c->ip4 && room >= IP6_HEADER) {
        put16(ip + IP6_PAYLOAD, (uint32_t)(g->len - c->ip_start - IP6_HEADER));
    }
}

static void number_tcp(const struct context *c, uint8_t *frame, const struct segment *g)
{
    uint8_t *tcp = frame + c->l4_start;
    if (c->header < c->l4_start + TCP_FLAGS + 1)
        return;
    put32(tcp + TCP_SEQUENCE, (get16(tcp + TCP_SEQUENCE) << 16 | get16(tcp + TCP_SEQUENCE + 2)) +
                                  g->number * c->mss);
    if (!g->last)
        tcp[TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
}

static void number_udp(const struct context *c, uint8_t *frame, const struct segment *g)
{
    if (c->header >= c->l4_start + UDP_LENGTH + 2)
        put16(frame + c->l4_start + UDP_LENGTH, (uint32_t)(g->len - c->l4_start));
}

/* The driver put the pseudo-header's sum without a length where the checksum goes. */
static void finish(const struct context *c, uint8_t *frame, const struct segment *g, uint32_t options)
{
    if (options & TXD_TXSM && c->l4_at + 2u <= g->len && c->l4_start <= g->len) {
        uint8_t *at = frame + c->l4_at;
        put16(at, fold((uint64_t)get16(at) + (g->len - c->l4_start)));
        e1000_checksum(frame, g->len, c->l4_start, c->l4_at, c->l4_end, !c->tcp);
    }
    if (options & TXD_IXSM)
        e1000_checksum(frame, g->len, c->ip_start, c->ip_at, c->ip_end, false);
}

/* A packet the guest described so that no segment could come out of it is dropped. */
void e1000_segment(struct dev *d, size_t len, uint32_t options, const uint8_t *tag)
{
    struct e1000 *s = e1000_of(d);
    struct e1000_host *h = e1000_host(d);
    struct context c = unpack(s->context[E1000_TSO]);

    if (!c.mss || c.header < 14 || len < c.header || (size_t)c.header + c.mss > NET_FRAME_MAX - 4)
        return;
    e1000_count(s, STAT_TSCTC, 1);
    size_t done = c.header;
    struct segment g = {0};
    do {
        size_t left = len - done;
        g.payload = left < c.mss ? left : c.mss;
        g.len = c.header + g.payload;
        g.last = g.payload == left;
        memcpy(h->frame, h->packet, c.header);
        memcpy(h->frame + c.header, h->packet + done, g.payload);
        number_ip(&c, h->frame, &g);
        (c.tcp ? number_tcp : number_udp)(&c, h->frame, &g);
        finish(&c, h->frame, &g, options);
        e1000_tx_frame(d, h->frame, g.len, tag);
        done += g.payload;
        g.number++;
    } while (done < len);
}
