/* One guest instruction that can run on the host as it is, its registers renamed. See decode.c. */
#ifndef VMK_DIRECT_INSN_H
#define VMK_DIRECT_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NO_REG 0xff
#define OP_0F 0x100 /* in struct insn.op: an opcode of the 0F map */

enum op { /* those that need more than renaming */
    OP_MOVSXD = 0x63,
    OP_XCHG = 0x87,
    OP_LEA = 0x8d,
    OP_NOP = 0x90,
    OP_MOV_IMM64 = 0xb8,
    OP_SHIFT_IMM8 = 0xc0,
    OP_SHIFT_IMM = 0xc1,
    OP_SHIFT_CL = 0xd3,
    OP_JMP = 0xe9,
    OP_GROUP3 = 0xf7,
    OP_MOVUPS = OP_0F | 0x10,
    OP_MOVUPS_STORE = OP_0F | 0x11,
    OP_JCC = OP_0F | 0x80,
    OP_BSWAP = OP_0F | 0xc8,
};

/* What becomes of the flags. The comments say where the engine's and the host's differ: what the architecture
 * leaves undefined has to be what the engine leaves, on every host. */
enum effect {
    EFFECT_NONE,
    EFFECT_ARITH,
    EFFECT_LOGIC,    /* AF: 0 */
    EFFECT_INCDEC,   /* keeps CF */
    EFFECT_SHL,      /* AF: 0; by more than 1, OF: SF ^ CF */
    EFFECT_SHR,      /* AF: 0; by more than 1, OF: 0 (SAR too) */
    EFFECT_ROL,      /* CF and OF only; by more than 1, OF: as by 1, from the result */
    EFFECT_ROR,
    EFFECT_MUL,      /* SF, ZF and PF: of the low half; AF: 0 */
};

enum access { ACCESS_NONE = 0, ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_UPDATE = 3 };

struct insn {
    uint64_t pc, target;   /* target: of a direct jump */
    int64_t imm;
    uint64_t disp;         /* of [rip + disp]: the address itself */
    uint16_t op, bits;     /* bits: enum form_bit, decode.c's tables */
    uint8_t len, size, rm_size, effect;
    uint8_t reg, rm;       /* register numbers; reg is the opcode's digit where bits say so */
    uint8_t base, index, scale, seg; /* of a memory operand; NO_REG: there is none */
    uint8_t imm_bytes, cond;
    uint8_t prefix, vec;   /* vec: bits of enum vector_bit; prefix: 0, 66, F2 or F3, part of its opcode */
    bool mem, by_cl;
};

/* Instructions with XMM operands. Guest and host name the same registers. */
enum vector_bit {
    VEC = 1,
    VEC_REG = 2,          /* reg is an XMM register; otherwise a general one, if bits say that it is used */
    VEC_REG_R = 4,
    VEC_REG_W = 8,
    VEC_RM = 16,          /* r/m, where it is a register, is an XMM one */
    VEC_RM_W = 32,
    VEC_MOVE = 64,        /* 16 bytes and nothing else: of or to memory, whatever the alignment */
};
#define VEC_TEMP 15       /* the host's, for a memory operand; a loop that uses it is not compiled */

enum form_bit {
    FORM_OK = 1,
    FORM_MODRM = 2,
    FORM_BYTE = 4,
    FORM_REG_R = 8,
    FORM_REG_W = 16,
    FORM_RM_R = 32,
    FORM_RM_W = 64,
    FORM_IMM8 = 128,
    FORM_IMMZ = 256,
    FORM_DIGIT = 512,    /* a group: the reg field selects the row */
    FORM_CF_IN = 1024,
    FORM_COND = 2048,    /* the opcode's low four bits are a condition */
    FORM_RM8 = 4096,     /* r/m is a byte; FORM_RM16: a word, whatever the operand size */
    FORM_RM16 = 8192,
    FORM_END = 16384,    /* ends its block */
};

/* Decodes the 64-bit instruction at `code`, of which `room` bytes may be read. False: not one of those that
 * run directly. */
bool insn_decode(const uint8_t *code, size_t room, uint64_t pc, struct insn *out);

static inline bool insn_reads_flags(const struct insn *i)
{
    return i->bits & (FORM_CF_IN | FORM_COND);
}

/* OF is one of the flags it reads: O, L, LE and their opposites. */
static inline bool insn_reads_of(const struct insn *i)
{
    return i->bits & FORM_COND && ((i->cond >> 1) == 0 || (i->cond >> 1) >= 6);
}

static inline enum access insn_access(const struct insn *i)
{
    if (!i->mem || i->op == OP_LEA || i->op == OP_NOP)
        return ACCESS_NONE;
    return (i->bits & FORM_RM_R ? ACCESS_READ : 0) | (i->bits & FORM_RM_W ? ACCESS_WRITE : 0);
}

/* Writes every flag, or only some of them. */
static inline bool insn_writes_all_flags(const struct insn *i)
{
    return i->effect == EFFECT_ARITH || i->effect == EFFECT_LOGIC || i->effect == EFFECT_MUL ||
           ((i->effect == EFFECT_SHL || i->effect == EFFECT_SHR) && !i->by_cl);
}

static inline bool insn_writes_some_flags(const struct insn *i)
{
    return i->effect && !insn_writes_all_flags(i);
}

#endif
