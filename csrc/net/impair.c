/* The dice of a bad line: SplitMix64, seeded, so that equal runs lose equal frames. Corruption flips one bit
 * anywhere in the frame; real wires would show most of that to the receiver's FCS, this one has none, and so
 * checksums above are what is tested. */
#include "net/impair.h"

static uint64_t draw(struct net_impair *line)
{
    uint64_t z = line->random += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

bool impair_frame(struct net_impair *line, uint8_t *frame, size_t len)
{
    bool lost = (uint32_t)draw(line) < line->loss;
    bool corrupt = (uint32_t)draw(line) < line->corrupt;
    uint64_t bit = draw(line) % (len * 8);
    if (corrupt)
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    return !lost;
}
