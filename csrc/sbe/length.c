/*
 * Owns the length of any instruction, for those that Capstone refuses but a processor or the engine decodes:
 * LOCK where it is not allowed, hint NOPs in rare forms, SSE opcodes with a meaningless prefix, undefined
 * opcodes. Follows the opcode maps of Intel SDM vol. 2 appendix A. Leaves out whether the opcode is defined:
 * an undefined one has the length its neighbours have, and the engine stops at it.
 */
#include <string.h>

#include "decode.h"

/*
 * One letter per opcode.  . nothing follows   m ModRM   b imm8   w imm16   e imm16 imm8   z imm16/32
 * v imm16/32/64   r near branch   B ModRM imm8   Z ModRM imm16/32   a address   p far pointer
 * T, U group 3: ModRM, and an immediate for /0 and /1   M ModRM without memory (MOV CR, DR)
 * X ModRM, and two imm8 with 66 or F2: EXTRQ and INSERTQ of SSE4A
 */
static const char one_byte[] = "mmmmbz..mmmmbz.." /* 00 */ "mmmmbz..mmmmbz.." /* 10 */
                               "mmmmbz..mmmmbz.." /* 20 */ "mmmmbz..mmmmbz.." /* 30 */
                               "................" /* 40 */ "................" /* 50 */
                               "..mm....zZbB...." /* 60 */ "bbbbbbbbbbbbbbbb" /* 70 */
                               "BZBBmmmmmmmmmmmm" /* 80 */ "..........p....." /* 90 */
                               "aaaa....bz......" /* a0 */ "bbbbbbbbvvvvvvvv" /* b0 */
                               "BBw.mmBZe.w..b.." /* c0 */ "mmmmbb..mmmmmmmm" /* d0 */
                               "bbbbbbbbrrpb...." /* e0 */ "......TU......mm" /* f0 */;

static const char two_byte[] = "mmmm.........m.B" /* 00 */ "mmmmmmmmmmmmmmmm" /* 10 */
                               "MMMMM.M.mmmmmmmm" /* 20 */ "................" /* 30 */
                               "mmmmmmmmmmmmmmmm" /* 40 */ "mmmmmmmmmmmmmmmm" /* 50 */
                               "mmmmmmmmmmmmmmmm" /* 60 */ "BBBBmmm.Xmmmmmmm" /* 70 */
                               "rrrrrrrrrrrrrrrr" /* 80 */ "mmmmmmmmmmmmmmmm" /* 90 */
                               "...mBm.....mBmmm" /* a0 */ "mmmmmmmmmmBmmmmm" /* b0 */
                               "mmBmBBBm........" /* c0 */ "mmmmmmmmmmmmmmmm" /* d0 */
                               "mmmmmmmmmmmmmmmm" /* e0 */ "mmmmmmmmmmmmmmmm" /* f0 */;

static char opcode_letter(const struct sbe_decoded *d)
{
    switch (d->map) {
    case SBE_MAP_ONE:
        return one_byte[d->opcode];
    case SBE_MAP_0F:
        return two_byte[d->opcode];
    case SBE_MAP_0F3A:
        return 'B';
    default:
        return 'm';
    }
}

static bool has_modrm(char letter)
{
    return strchr("mBZTUMX", letter);
}

static unsigned immediate_length(const struct sbe_decoded *d, char letter, uint8_t modrm)
{
    unsigned size = sbe_operand_size(d), z = size == 2 ? 2 : 4;
    bool group3_test = (modrm & 0x30) == 0;
    switch (letter) {
    case 'b': case 'B': return 1;
    case 'w': return 2;
    case 'e': return 3;
    case 'z': case 'Z': return z;
    case 'r': return z;
    case 'v': return size;
    case 'a': return sbe_address_size(d);
    case 'p': return z + 2;
    case 'T': return group3_test ? 1 : 0;
    case 'U': return group3_test ? z : 0;
    case 'X': return d->has_66 || d->has_f2 ? 2 : 0;
    default: return 0;
    }
}

bool sbe_has_modrm(const struct sbe_decoded *d)
{
    return has_modrm(opcode_letter(d));
}

/* C4, C5 and 62 are vector prefixes in 64-bit mode, and elsewhere where ModRM.mod would be 3. */
static bool is_vector_prefix(const struct sbe_decoded *d, const uint8_t *code, size_t avail)
{
    if (d->map != SBE_MAP_ONE || (d->opcode != 0xc4 && d->opcode != 0xc5 && d->opcode != 0x62))
        return false;
    if (d->opcode_end >= avail)
        return false;
    return d->mode == SBE_MODE_64 || (code[d->opcode_end] & 0xc0) == 0xc0;
}

static enum sbe_verdict enter_vector_map(struct sbe_decoded *d, const uint8_t *code, size_t avail)
{
    static const uint8_t maps[] = {[1] = SBE_MAP_0F, [2] = SBE_MAP_0F38, [3] = SBE_MAP_0F3A};
    unsigned payload = d->opcode == 0xc5 ? 1 : d->opcode == 0xc4 ? 2 : 3, at = d->opcode_end;
    if (at + payload >= avail)
        return SBE_CUT_OFF;
    unsigned map = d->opcode == 0xc5 ? 1 : code[at] & (d->opcode == 0x62 ? 7 : 0x1f);
    if (map < 1 || map > 3)
        return SBE_UNDEFINED;
    d->map = maps[map];
    d->opcode = code[at + payload];
    d->opcode_end = (uint8_t)(at + payload + 1);
    return SBE_DECODED;
}

enum sbe_verdict sbe_length(enum sbe_mode mode, const uint8_t *code, size_t avail, unsigned *len)
{
    struct sbe_decoded d;
    enum sbe_verdict verdict = sbe_decode(mode, code, avail, &d);
    if (verdict == SBE_DECODED && is_vector_prefix(&d, code, avail))
        verdict = enter_vector_map(&d, code, avail);
    if (verdict != SBE_DECODED)
        return verdict;
    char letter = opcode_letter(&d);
    unsigned n = d.opcode_end;
    uint8_t modrm = 0;
    if (has_modrm(letter)) {
        if (n >= avail)
            return SBE_CUT_OFF;
        modrm = code[n];
        unsigned length = letter == 'M' ? 1 : sbe_modrm_length(&d, code + n, avail - n);
        if (!length)
            return SBE_CUT_OFF;
        n += length;
    }
    n += immediate_length(&d, letter, modrm);
    if (n > SBE_MAX_INSN)
        return SBE_UNDEFINED;
    *len = n;
    return n <= avail ? SBE_DECODED : SBE_CUT_OFF;
}
