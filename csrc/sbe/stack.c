/*
 * Owns the question "does this instruction access memory through the stack segment": by an operand based on rSP or
 * rBP, or implicitly as a push or pop. Follows Intel SDM vol. 2 table 2-5 and vol. 1 §3.7.4. Leaves out 16-bit
 * addressing, where only segment limits would make the difference, and the engine has none.
 */
#include "decode.h"

enum { RSP = 4, RBP = 5, REX_B = 1 };

static bool is_push_or_pop(const struct sbe_decoded *d, unsigned reg)
{
    if (d->map == SBE_MAP_0F)
        return d->opcode == 0xa0 || d->opcode == 0xa1 || d->opcode == 0xa8 || d->opcode == 0xa9;
    if (d->map != SBE_MAP_ONE)
        return false;
    switch (d->opcode) {
    case 0x50 ... 0x5f: case 0x68: case 0x6a: case 0x8f: case 0x9c: case 0x9d: case 0xc2: case 0xc3: case 0xc8: case 0xc9:
    case 0xca: case 0xcb: case 0xcf: case 0xe8:
        return true;
    case 0xff:
        return reg == 2 || reg == 3 || reg == 6;
    default:
        return false;
    }
}

static bool based_on_stack(const struct sbe_decoded *d, const uint8_t *modrm, size_t avail)
{
    unsigned mod = modrm[0] >> 6, base = modrm[0] & 7;
    if (d->rex & REX_B)
        return false;
    if (base == RSP) {
        if (avail < 2)
            return false;
        base = modrm[1] & 7;
    }
    return base == RSP || (base == RBP && mod != 0);
}

unsigned sbe_stack_use(enum sbe_mode mode, const uint8_t *code, size_t avail)
{
    struct sbe_decoded d;
    if (sbe_decode(mode, code, avail, &d) != SBE_DECODED)
        return 0;
    bool modrm = sbe_has_modrm(&d) && d.opcode_end < avail;
    const uint8_t *at = code + d.opcode_end;
    unsigned use = is_push_or_pop(&d, modrm ? at[0] >> 3 & 7 : 0) ? SBE_STACK_IMPLICIT : 0;
    if (!modrm || at[0] >= 0xc0)
        return use;
    bool overridden = d.segment == SBE_SEG_FS || d.segment == SBE_SEG_GS;
    if (!overridden && based_on_stack(&d, at, avail - d.opcode_end))
        use |= SBE_STACK_OPERAND;
    return use | SBE_STACK_MEMORY;
}
