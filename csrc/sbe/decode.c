/*
 * Owns the front of an instruction: legacy prefixes, REX, escape bytes and opcode, ModRM length.
 * Follows Intel SDM vol. 2 §2.1 and §2.2.1. Leaves out what the opcode does: match.c and length.c.
 */
#include "decode.h"

enum { REX_W = 8 };

bool sbe_is_prefix(enum sbe_mode mode, uint8_t byte)
{
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
    case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
        return true;
    default:
        return mode == SBE_MODE_64 && (byte & 0xf0) == 0x40;
    }
}

static void note_prefix(struct sbe_decoded *d, uint8_t byte)
{
    /* Only a REX right before the opcode counts: any other prefix behind it cancels it. */
    d->rex = 0;
    switch (byte) {
    case 0x26: d->segment = SBE_SEG_ES; break;
    case 0x2e: d->segment = SBE_SEG_CS; break;
    case 0x36: d->segment = SBE_SEG_SS; break;
    case 0x3e: d->segment = SBE_SEG_DS; break;
    case 0x64: d->segment = SBE_SEG_FS; break;
    case 0x65: d->segment = SBE_SEG_GS; break;
    case 0x66: d->has_66 = true; break;
    case 0x67: d->has_67 = true; break;
    case 0xf0: d->has_lock = true; break;
    case 0xf2: d->has_f2 = true, d->repne_last = true; break;
    case 0xf3: d->has_f3 = true, d->repne_last = false; break;
    default: d->rex = byte; break;
    }
}

static enum sbe_verdict decode_escape(const uint8_t *code, size_t avail, size_t at, struct sbe_decoded *d)
{
    static const uint8_t maps[] = {[0x38] = SBE_MAP_0F38, [0x3a] = SBE_MAP_0F3A};
    d->map = SBE_MAP_ONE;
    if (code[at] == 0x0f) {
        if (++at >= avail)
            return SBE_CUT_OFF;
        d->map = SBE_MAP_0F;
        if (code[at] == 0x38 || code[at] == 0x3a) {
            d->map = maps[code[at]];
            if (++at >= avail)
                return SBE_CUT_OFF;
        }
    }
    d->opcode = code[at];
    d->opcode_end = (uint8_t)(at + 1);
    return at < SBE_MAX_INSN ? SBE_DECODED : SBE_UNDEFINED;
}

enum sbe_verdict sbe_decode(enum sbe_mode mode, const uint8_t *code, size_t avail, struct sbe_decoded *out)
{
    *out = (struct sbe_decoded){.mode = (uint8_t)mode, .segment = SBE_REG_NONE};
    size_t at = 0;
    for (; at < avail && at < SBE_MAX_INSN && sbe_is_prefix(mode, code[at]); at++)
        note_prefix(out, code[at]);
    if (at == SBE_MAX_INSN)
        return SBE_UNDEFINED;
    if (at == avail)
        return SBE_CUT_OFF;
    return decode_escape(code, avail, at, out);
}

unsigned sbe_operand_size(const struct sbe_decoded *d)
{
    if (d->mode == SBE_MODE_64)
        return d->rex & REX_W ? 8 : d->has_66 ? 2 : 4;
    return (d->mode == SBE_MODE_32) != d->has_66 ? 4 : 2;
}

unsigned sbe_address_size(const struct sbe_decoded *d)
{
    if (d->mode == SBE_MODE_64)
        return d->has_67 ? 4 : 8;
    return (d->mode == SBE_MODE_32) != d->has_67 ? 4 : 2;
}

unsigned sbe_modrm_length(const struct sbe_decoded *d, const uint8_t *modrm, size_t avail)
{
    if (!avail)
        return 0;
    unsigned mod = modrm[0] >> 6, rm = modrm[0] & 7, len = 1;
    if (mod == 3)
        return 1;
    if (sbe_address_size(d) == 2)
        return mod == 1 ? 2 : mod == 2 || rm == 6 ? 3 : 1;
    unsigned base = rm;
    if (rm == 4) {
        if (avail < 2)
            return 0;
        base = modrm[1] & 7;
        len = 2;
    }
    if (mod == 0)
        return base == 5 ? len + 4 : len;
    return mod == 1 ? len + 1 : len + 4;
}
