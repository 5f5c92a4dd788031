/* Which frames the 8254x takes: VLAN, size, pause frames, addresses.
 *
 * Follows the 8254x Software Developer's Manual, sections 3.2.1 (packet address filtering) and 9.3
 * (802.1q). A frame passes the VLAN filter first, then any one of the address filters. Left out: the wake-
 * up filters. */
#include <string.h>

#include "dev/e1000.h"

#define LONGEST 1522u /* with a tag and the FCS */
#define VLAN_ID 0xfff

static unsigned word_at(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

bool e1000_is_tagged(const struct e1000 *s, const uint8_t *frame, size_t len)
{
    return len >= 18 && s->reg[W_VET] && word_at(frame + 12) == s->reg[W_VET];
}

static bool vlan_passes(const struct e1000 *s, const uint8_t *frame, size_t len)
{
    if (!(s->reg[W_RCTL] & RCTL_VFE) || !e1000_is_tagged(s, frame, len))
        return true;
    unsigned id = word_at(frame + 14) & VLAN_ID;
    return s->reg[W_VFTA + id / 32] >> id % 32 & 1;
}

/* RAH bits 17:16 would match the source address instead: nobody sets them. */
static bool exact_match(const struct e1000 *s, const uint8_t *to)
{
    for (unsigned i = 0; i < E1000_RA_WORDS; i += 2) {
        uint32_t low = s->reg[W_RA + i], high = s->reg[W_RA + i + 1];
        uint8_t address[6] = {
            (uint8_t)low, (uint8_t)(low >> 8), (uint8_t)(low >> 16), (uint8_t)(low >> 24), (uint8_t)high,
            (uint8_t)(high >> 8),
        };
        if (high & RAH_AV && !memcmp(address, to, 6))
            return true;
    }
    return false;
}

static bool hash_match(const struct e1000 *s, const uint8_t *to)
{
    static const uint8_t shift[4] = {4, 3, 2, 0};
    unsigned last = to[4] | (unsigned)to[5] << 8;
    unsigned hash = last >> shift[s->reg[W_RCTL] >> RCTL_MO_SHIFT & 3] & 0xfff;
    return s->reg[W_MTA + hash / 32] >> hash % 32 & 1;
}

static bool address_passes(const struct e1000 *s, const uint8_t *to)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t rctl = s->reg[W_RCTL];

    if (exact_match(s, to))
        return true;
    if (!(to[0] & 1))
        return rctl & RCTL_UPE;
    if (rctl & RCTL_MPE || (rctl & RCTL_BAM && !memcmp(to, broadcast, 6)))
        return true;
    return hash_match(s, to);
}

/* Pause frames are for the chip, unless the guest wants to see them. Nobody here sends so fast that they
 * would have to be obeyed. */
static bool is_pause(const struct e1000 *s, const uint8_t *frame)
{
    static const uint8_t to[6] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x01};
    return !(s->reg[W_RCTL] & RCTL_PMCF) && s->reg[W_CTRL] & CTRL_RFCE && !memcmp(frame, to, 6) &&
           word_at(frame + 12) == (s->reg[W_FCT] & 0xffff);
}

bool e1000_too_long(const struct e1000 *s, size_t len)
{
    return len + E1000_FCS > LONGEST && !(s->reg[W_RCTL] & (RCTL_LPE | RCTL_SBP));
}

bool e1000_wants(const struct e1000 *s, const uint8_t *frame, size_t len)
{
    return vlan_passes(s, frame, len) && !is_pause(s, frame) && address_passes(s, frame);
}
