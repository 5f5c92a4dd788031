/*
 * Owns the compact decode of a sensitive instruction's operands for the monitor. Follows Intel SDM vol. 2
 * §2.1.5 (ModRM and SIB), §2.2.1 (64-bit mode). Leaves out the addition: registers and segment bases are the
 * monitor's.
 */
#include <string.h>

#include "match.h"

enum { RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7 };

static unsigned operand_size(uint8_t rule, const struct sbe_decoded *d)
{
    bool long_mode = d->mode == SBE_MODE_64, rex_w = d->rex & 8;
    switch (rule) {
    case SBE_SIZE_BYTE: return 1;
    case SBE_SIZE_WORD: return 2;
    case SBE_SIZE_OPERAND: return sbe_operand_size(d);
    case SBE_SIZE_PORT: return sbe_operand_size(d) == 2 ? 2 : 4;
    case SBE_SIZE_STACK: return long_mode ? (d->has_66 && !rex_w ? 2 : 8) : sbe_operand_size(d);
    case SBE_SIZE_LONG: return long_mode ? 8 : 4;
    case SBE_SIZE_LONG_OR_INT: return rex_w ? 8 : 4;
    case SBE_SIZE_TABLE: return long_mode ? 8 : sbe_operand_size(d);
    default: return 0;
    }
}

static unsigned access_size(uint8_t rule, const struct sbe_decoded *d, unsigned size)
{
    switch (rule) {
    case SBE_ACCESS_OPERAND: return size;
    case SBE_ACCESS_TABLE: return d->mode == SBE_MODE_64 ? 10 : 6;
    case SBE_ACCESS_OWORD: return 16;
    default: return 0;
    }
}

static int32_t displacement(const uint8_t *at, unsigned bytes)
{
    switch (bytes) {
    case 1: return (int8_t)at[0];
    case 2: return (int16_t)(at[0] | at[1] << 8);
    case 4: return (int32_t)(at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24);
    default: return 0;
    }
}

static void memory16(struct sbe_operand *op, const uint8_t *modrm, unsigned len)
{
    static const uint8_t bases[] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX};
    static const uint8_t indices[] = {RSI, RDI, RSI, RDI};
    unsigned rm = modrm[0] & 7;
    op->base = modrm[0] < 0x40 && rm == 6 ? SBE_REG_NONE : bases[rm];
    op->index = rm < 4 ? indices[rm] : SBE_REG_NONE;
    op->disp = displacement(modrm + 1, len - 1);
}

static void memory32(struct sbe_operand *op, const struct sbe_decoded *d, const uint8_t *modrm, unsigned len)
{
    unsigned rex_b = d->rex & 1 ? 8 : 0, rex_x = d->rex & 2 ? 8 : 0, rm = modrm[0] & 7, head = 1;
    bool no_disp_mod = modrm[0] < 0x40;
    if (rm == 4) {
        unsigned index = (modrm[1] >> 3 & 7) | rex_x;
        head = 2;
        rm = modrm[1] & 7;
        op->scale = (uint8_t)(1u << (modrm[1] >> 6));
        op->index = index == RSP ? SBE_REG_NONE : (uint8_t)index;
        op->base = no_disp_mod && rm == RBP ? SBE_REG_NONE : (uint8_t)(rm | rex_b);
    } else if (no_disp_mod && rm == RBP) {
        op->base = d->mode == SBE_MODE_64 ? SBE_REG_RIP : SBE_REG_NONE;
    } else {
        op->base = (uint8_t)(rm | rex_b);
    }
    op->disp = displacement(modrm + head, len - head);
}

static uint8_t memory_segment(const struct sbe_decoded *d, uint8_t base)
{
    /* In 64-bit mode only FS and GS override. */
    if (d->segment != SBE_REG_NONE && (d->mode != SBE_MODE_64 || d->segment >= SBE_SEG_FS))
        return d->segment;
    return base == RSP || base == RBP ? SBE_SEG_SS : SBE_SEG_DS;
}

static void fill_modrm(struct sbe_operand *op, const struct sbe_match *match, const uint8_t *modrm)
{
    const struct sbe_decoded *d = &match->decoded;
    bool control = match->form->modrm == SBE_MODRM_CONTROL;
    bool group = match->form->regs && !control, alternate_cr8 = control && d->has_lock;
    op->reg = (uint8_t)((modrm[0] >> 3 & 7) | ((!group && (d->rex & 4)) || alternate_cr8 ? 8 : 0));
    if (control || modrm[0] >= 0xc0) {
        op->flags |= SBE_OP_REG;
        op->rm = (uint8_t)((modrm[0] & 7) | (d->rex & 1 ? 8 : 0));
        return;
    }
    unsigned len = sbe_modrm_length(d, modrm, SBE_MAX_INSN);
    op->flags |= SBE_OP_MEM;
    if (op->address_size == 2)
        memory16(op, modrm, len);
    else
        memory32(op, d, modrm, len);
    op->segment = memory_segment(d, op->base);
    op->access = (uint8_t)access_size(match->form->access, d, op->size);
}

static void fill_immediate(struct sbe_operand *op, const struct sbe_match *match, const uint8_t *code)
{
    unsigned bytes = match->form->imm;
    if (bytes == SBE_IMM_FAR_POINTER) {
        bytes = op->size == 2 ? 2 : 4;
        memcpy(&op->selector, code + match->len - 2, 2);
        memcpy(&op->imm, code + match->len - 2 - bytes, bytes);
        return;
    }
    memcpy(&op->imm, code + match->len - bytes, bytes);
}

static uint8_t prefix_flags(const struct sbe_match *match)
{
    const struct sbe_decoded *d = &match->decoded;
    unsigned flags = 0;
    flags |= d->has_f3 && !d->repne_last ? SBE_OP_REP : 0;
    flags |= d->has_f2 && d->repne_last ? SBE_OP_REPNE : 0;
    flags |= d->has_lock ? SBE_OP_LOCK : 0;
    flags |= d->has_66 ? SBE_OP_66 : 0;
    flags |= d->rex & 8 ? SBE_OP_REX_W : 0;
    bool forbidden = match->form->np && (d->has_66 || d->has_f2 || d->has_f3);
    if (forbidden || match->form->ud || (d->has_lock && match->form->prefix != SBE_PREFIX_LOCK))
        flags |= SBE_OP_UD;
    return (uint8_t)flags;
}

struct sbe_operand sbe_operand(const struct sbe_match *match, const uint8_t *code)
{
    const struct sbe_decoded *d = &match->decoded;
    struct sbe_operand op = {
        .map = d->map,
        .opcode = d->opcode,
        .flags = prefix_flags(match),
        .size = (uint8_t)operand_size(match->form->size, d),
        .address_size = (uint8_t)sbe_address_size(d),
        .rm = SBE_REG_NONE,
        .base = SBE_REG_NONE,
        .index = SBE_REG_NONE,
        .scale = 1,
        .segment = memory_segment(d, SBE_REG_NONE),
    };
    if (match->form->modrm != SBE_MODRM_NONE)
        fill_modrm(&op, match, code + d->opcode_end);
    fill_immediate(&op, match, code);
    return op;
}
