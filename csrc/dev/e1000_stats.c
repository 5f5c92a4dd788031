/* The 8254x's statistics: they saturate, and reading one clears it.
 *
 * Follows the 8254x Software Developer's Manual, section 13.7. Lengths count with the frame check sequence.
 * Octet counters are 64 bits wide in two registers; reading the upper one clears both. Counted are frames,
 * octets, sizes, kinds and what did not fit; what can only go wrong on a wire stays 0. */
#include "dev/e1000.h"

#include <string.h>

#define SIZE_CLASSES 6

void e1000_count(struct e1000 *s, unsigned stat, uint32_t n)
{
    uint32_t *at = &s->reg[W_STAT + stat];
    *at = *at > UINT32_MAX - n ? UINT32_MAX : *at + n;
}

static void count_octets(struct e1000 *s, unsigned stat, uint64_t n)
{
    uint32_t *at = &s->reg[W_STAT + stat];
    uint64_t sum = (at[0] | (uint64_t)at[1] << 32) + n;
    at[0] = (uint32_t)sum;
    at[1] = (uint32_t)(sum >> 32);
}

static unsigned size_class(size_t octets)
{
    static const uint16_t upto[SIZE_CLASSES - 1] = {64, 127, 255, 511, 1023};
    unsigned i = 0;
    while (i < SIZE_CLASSES - 1 && octets > upto[i])
        i++;
    return i;
}

void e1000_count_frame(struct e1000 *s, const uint8_t *frame, size_t len, bool sent)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    size_t octets = len + E1000_FCS;

    e1000_count(s, (sent ? STAT_PTC64 : STAT_PRC64) + size_class(octets), 1);
    e1000_count(s, sent ? STAT_TPT : STAT_TPR, 1);
    e1000_count(s, sent ? STAT_GPTC : STAT_GPRC, 1);
    count_octets(s, sent ? STAT_TOT : STAT_TOR, octets);
    count_octets(s, sent ? STAT_GOTC : STAT_GORC, octets);
    if (!memcmp(frame, broadcast, 6))
        e1000_count(s, sent ? STAT_BPTC : STAT_BPRC, 1);
    else if (frame[0] & 1)
        e1000_count(s, sent ? STAT_MPTC : STAT_MPRC, 1);
}

static bool is_upper_half(unsigned stat)
{
    return stat == STAT_GORC + 1 || stat == STAT_GOTC + 1 || stat == STAT_TOR + 1 || stat == STAT_TOT + 1;
}

uint32_t e1000_read_stat(struct dev *d, unsigned word)
{
    struct e1000 *s = e1000_of(d);
    uint32_t value = s->reg[word];
    if (is_upper_half(word - W_STAT))
        s->reg[word] = s->reg[word - 1] = 0;
    else if (!is_upper_half(word - W_STAT + 1))
        s->reg[word] = 0;
    return value;
}
