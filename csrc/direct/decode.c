/* Which instructions run directly, and their operands.
 *
 * Owns the tables of 64-bit integer instructions (Intel SDM volume 2, appendix A) that the host can execute
 * in the guest's place: no privilege, no implicit memory, no trap but a page fault. Left to the engine, by
 * decoding to nothing: LOCK, REP, address-size prefixes, AH to BH, stack instructions, division, string,
 * floating-point instructions, and forms whose undefined flags depend on the value before. */
#include "direct/insn.h"

#define RM (FORM_OK | FORM_MODRM)
#define E_G (RM | FORM_REG_R | FORM_RM_R | FORM_RM_W)  /* op r/m, r */
#define G_E (RM | FORM_REG_R | FORM_REG_W | FORM_RM_R) /* op r, r/m */
#define TEST (RM | FORM_REG_R | FORM_RM_R)
#define LOAD (RM | FORM_REG_W | FORM_RM_R)
#define STORE (RM | FORM_REG_R | FORM_RM_W)
#define GROUP (RM | FORM_DIGIT)

struct form {
    uint16_t bits;
    uint8_t effect;
};

#define ALU(o, effect, extra)                                                                         \
    [o] = {E_G | FORM_BYTE | (extra), effect}, [(o) + 1] = {E_G | (extra), effect},                   \
    [(o) + 2] = {G_E | FORM_BYTE | (extra), effect}, [(o) + 3] = {G_E | (extra), effect},             \
    [(o) + 4] = {FORM_OK | FORM_BYTE | FORM_IMM8, effect}, [(o) + 5] = {FORM_OK | FORM_IMMZ, effect}

static const struct form one_byte[256] = {
    ALU(0x00, EFFECT_ARITH, 0),
    ALU(0x08, EFFECT_LOGIC, 0),
    ALU(0x10, EFFECT_ARITH, FORM_CF_IN),
    ALU(0x18, EFFECT_ARITH, FORM_CF_IN),
    ALU(0x20, EFFECT_LOGIC, 0),
    ALU(0x28, EFFECT_ARITH, 0),
    ALU(0x30, EFFECT_LOGIC, 0),
    [0x38] = {TEST | FORM_BYTE, EFFECT_ARITH},
    [0x39] = {TEST, EFFECT_ARITH},
    [0x3a] = {TEST | FORM_BYTE, EFFECT_ARITH},
    [0x3b] = {TEST, EFFECT_ARITH},
    [0x3c] = {FORM_OK | FORM_BYTE | FORM_IMM8, EFFECT_ARITH},
    [0x3d] = {FORM_OK | FORM_IMMZ, EFFECT_ARITH},
    [OP_MOVSXD] = {LOAD, EFFECT_NONE},
    [0x69] = {LOAD | FORM_IMMZ, EFFECT_MUL},
    [0x6b] = {LOAD | FORM_IMM8, EFFECT_MUL},
    [0x70 ... 0x7f] = {FORM_OK | FORM_COND | FORM_IMM8 | FORM_END, EFFECT_NONE},
    [0x80] = {GROUP | FORM_BYTE | FORM_IMM8, EFFECT_NONE},
    [0x81] = {GROUP | FORM_IMMZ, EFFECT_NONE},
    [0x83] = {GROUP | FORM_IMM8, EFFECT_NONE},
    [0x84] = {TEST | FORM_BYTE, EFFECT_LOGIC},
    [0x85] = {TEST, EFFECT_LOGIC},
    [OP_XCHG] = {E_G | FORM_REG_W, EFFECT_NONE},
    [0x88] = {STORE | FORM_BYTE, EFFECT_NONE},
    [0x89] = {STORE, EFFECT_NONE},
    [0x8a] = {LOAD | FORM_BYTE, EFFECT_NONE},
    [0x8b] = {LOAD, EFFECT_NONE},
    [OP_LEA] = {LOAD, EFFECT_NONE},
    [OP_NOP] = {FORM_OK, EFFECT_NONE},
    [0x98] = {FORM_OK, EFFECT_NONE},
    [0xa8] = {FORM_OK | FORM_BYTE | FORM_IMM8, EFFECT_LOGIC},
    [0xa9] = {FORM_OK | FORM_IMMZ, EFFECT_LOGIC},
    [0xb0 ... 0xb7] = {FORM_OK | FORM_BYTE | FORM_IMM8 | FORM_RM_W, EFFECT_NONE},
    [0xb8 ... 0xbf] = {FORM_OK | FORM_IMMZ | FORM_RM_W, EFFECT_NONE},
    [0xc0] = {GROUP | FORM_BYTE | FORM_IMM8, EFFECT_NONE},
    [0xc1] = {GROUP | FORM_IMM8, EFFECT_NONE},
    [0xc6] = {RM | FORM_DIGIT | FORM_BYTE | FORM_IMM8, EFFECT_NONE},
    [0xc7] = {RM | FORM_DIGIT | FORM_IMMZ, EFFECT_NONE},
    [0xd0] = {GROUP | FORM_BYTE, EFFECT_NONE},
    [0xd1] = {GROUP, EFFECT_NONE},
    [OP_SHIFT_CL] = {GROUP, EFFECT_NONE},
    [OP_JMP] = {FORM_OK | FORM_IMMZ | FORM_END, EFFECT_NONE},
    [0xeb] = {FORM_OK | FORM_IMM8 | FORM_END, EFFECT_NONE},
    [0xf6] = {GROUP | FORM_BYTE, EFFECT_NONE},
    [OP_GROUP3] = {GROUP, EFFECT_NONE},
    [0xfe] = {GROUP | FORM_BYTE, EFFECT_NONE},
    [0xff] = {GROUP, EFFECT_NONE},
};

static const struct form two_bytes[256] = {
    [0x1f] = {RM, EFFECT_NONE},
    [0x40 ... 0x4f] = {G_E | FORM_COND, EFFECT_NONE},
    [0x80 ... 0x8f] = {FORM_OK | FORM_COND | FORM_IMMZ | FORM_END, EFFECT_NONE},
    [0x90 ... 0x9f] = {RM | FORM_DIGIT | FORM_RM_W | FORM_BYTE | FORM_COND, EFFECT_NONE},
    [0xaf] = {G_E, EFFECT_MUL},
    [0xb6] = {LOAD | FORM_RM8, EFFECT_NONE},
    [0xb7] = {LOAD | FORM_RM16, EFFECT_NONE},
    [0xbe] = {LOAD | FORM_RM8, EFFECT_NONE},
    [0xbf] = {LOAD | FORM_RM16, EFFECT_NONE},
    [0xc8 ... 0xcf] = {FORM_OK | FORM_RM_R | FORM_RM_W, EFFECT_NONE},
};

#define UPDATE (FORM_OK | FORM_RM_R | FORM_RM_W)

/* SSE and SSE2, by prefix: moves, logic and integer arithmetic, which neither MXCSR nor the rounding mode
 * touches. */
struct vector_form {
    uint8_t vec, bytes;      /* of the memory operand */
    uint16_t bits;
};

#define V_OP {VEC | VEC_REG | VEC_REG_R | VEC_REG_W | VEC_RM, 16, RM | FORM_RM_R}
#define V_OP_IMM {VEC | VEC_REG | VEC_REG_R | VEC_REG_W | VEC_RM, 16, RM | FORM_RM_R | FORM_IMM8}
#define V_LOAD {VEC | VEC_REG | VEC_REG_W | VEC_RM | VEC_MOVE, 16, RM | FORM_RM_R}
#define V_STORE {VEC | VEC_REG | VEC_REG_R | VEC_RM | VEC_RM_W | VEC_MOVE, 16, RM | FORM_RM_W}
#define V_PART(n) {VEC | VEC_REG | VEC_REG_R | VEC_REG_W | VEC_RM, n, RM | FORM_RM_R}
#define V_PART_STORE(n) {VEC | VEC_REG | VEC_REG_R | VEC_RM | VEC_RM_W, n, RM | FORM_RM_W}
#define V_SHIFT {VEC | VEC_RM | VEC_RM_W, 0, RM | FORM_RM_R | FORM_RM_W | FORM_DIGIT | FORM_IMM8}

static const struct vector_form vector_none[256] = {
    [0x10] = V_LOAD, [0x11] = V_STORE, [0x12] = V_PART(8), [0x13] = V_PART_STORE(8),
    [0x14] = V_OP, [0x15] = V_OP, [0x16] = V_PART(8), [0x17] = V_PART_STORE(8),
    [0x28] = V_LOAD, [0x29] = V_STORE, [0x2b] = V_STORE, [0x54 ... 0x57] = V_OP, [0xc6] = V_OP_IMM,
};
static const struct vector_form vector_66[256] = {
    [0x10] = V_LOAD, [0x11] = V_STORE, [0x12] = V_PART(8), [0x13] = V_PART_STORE(8),
    [0x14] = V_OP, [0x15] = V_OP, [0x16] = V_PART(8), [0x17] = V_PART_STORE(8),
    [0x28] = V_LOAD, [0x29] = V_STORE, [0x2b] = V_STORE, [0x54 ... 0x57] = V_OP, [0xc6] = V_OP_IMM,
    [0x60 ... 0x6d] = V_OP, [0x6e] = {VEC | VEC_REG | VEC_REG_W, 4, RM | FORM_RM_R}, [0x6f] = V_LOAD,
    [0x70] = V_OP_IMM, [0x71 ... 0x73] = V_SHIFT, [0x74 ... 0x76] = V_OP,
    [0x7e] = {VEC | VEC_REG | VEC_REG_R, 4, RM | FORM_RM_W}, [0x7f] = V_STORE,
    [0xd1 ... 0xd5] = V_OP, [0xd6] = V_PART_STORE(8),
    [0xd7] = {VEC | VEC_RM, 0, RM | FORM_REG_W | FORM_RM_R}, [0xd8 ... 0xe5] = V_OP, [0xe7] = V_STORE,
    [0xe8 ... 0xef] = V_OP, [0xf1 ... 0xf6] = V_OP, [0xf8 ... 0xfe] = V_OP,
};
static const struct vector_form vector_f3[256] = {
    [0x10] = V_PART(4), [0x11] = V_PART_STORE(4), [0x6f] = V_LOAD, [0x70] = V_OP_IMM,
    [0x7e] = V_PART(8), [0x7f] = V_STORE,
};
static const struct vector_form vector_f2[256] = {
    [0x10] = V_PART(8), [0x11] = V_PART_STORE(8), [0x70] = V_OP_IMM,
};

/* Rows of the groups; `bits` are added to the opcode's. */
static const struct form group1[8] = {
    {UPDATE, EFFECT_ARITH}, {UPDATE, EFFECT_LOGIC}, {UPDATE | FORM_CF_IN, EFFECT_ARITH},
    {UPDATE | FORM_CF_IN, EFFECT_ARITH}, {UPDATE, EFFECT_LOGIC}, {UPDATE, EFFECT_ARITH},
    {UPDATE, EFFECT_LOGIC}, {FORM_OK | FORM_RM_R, EFFECT_ARITH},
};
static const struct form group2[8] = {
    [0] = {UPDATE, EFFECT_ROL}, [1] = {UPDATE, EFFECT_ROR}, [4] = {UPDATE, EFFECT_SHL},
    [5] = {UPDATE, EFFECT_SHR}, [7] = {UPDATE, EFFECT_SHR},
};
static const struct form group3[8] = {
    [0] = {FORM_OK | FORM_RM_R, EFFECT_LOGIC}, [2] = {UPDATE, EFFECT_NONE}, [3] = {UPDATE, EFFECT_ARITH},
    [4] = {FORM_OK | FORM_RM_R, EFFECT_MUL}, [5] = {FORM_OK | FORM_RM_R, EFFECT_MUL},
};
static const struct form group5[8] = {{UPDATE, EFFECT_INCDEC}, {UPDATE, EFFECT_INCDEC}};
static const struct form group11[8] = {{FORM_OK | FORM_RM_W, EFFECT_NONE}};

static const struct form *group_row(const struct insn *i)
{
    switch (i->op) {
    case 0x80: case 0x81: case 0x83: return &group1[i->reg];
    case 0xc0: case 0xc1: case 0xd0: case 0xd1: case 0xd3: return &group2[i->reg];
    case 0xf6: case 0xf7: return &group3[i->reg];
    case 0xfe: case 0xff: return &group5[i->reg];
    default: return &group11[i->reg];
    }
}

struct cursor {
    const uint8_t *p, *end;
    bool over;
};

static uint8_t byte(struct cursor *c)
{
    if (c->p == c->end) {
        c->over = true;
        return 0;
    }
    return *c->p++;
}

static int64_t immediate(struct cursor *c, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)byte(c) << (8 * i);
    unsigned shift = 64 - 8 * bytes;
    return bytes ? (int64_t)(value << shift) >> shift : 0;
}

struct prefixes {
    uint8_t rex, seg, rep;
    bool word;
};

/* ES, CS, SS and DS have no base in 64-bit code. */
static bool prefixes(struct cursor *c, struct prefixes *x)
{
    *x = (struct prefixes){.seg = NO_REG};
    for (;; c->p++) {
        if (c->p == c->end)
            return false;
        switch (*c->p) {
        case 0x66: x->word = true; continue;
        case 0x64: x->seg = 4; continue;
        case 0x65: x->seg = 5; continue;
        case 0xf2: case 0xf3: x->rep = *c->p; continue;
        case 0x26: case 0x2e: case 0x36: case 0x3e: continue;
        case 0x40 ... 0x4f: x->rex = *c->p++; return true;
        default: return true;
        }
    }
}

static void memory_operand(struct cursor *c, uint8_t rex, uint8_t mod, uint8_t rm, struct insn *i)
{
    unsigned disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    i->mem = true;
    i->base = rm | (rex & 1) << 3;
    if (rm == 4) {
        uint8_t sib = byte(c);
        i->base = (sib & 7) | (rex & 1) << 3;
        i->index = (sib >> 3 & 7) | (rex & 2) << 2;
        i->scale = sib >> 6;
        if (i->index == 4)
            i->index = NO_REG;
        if ((sib & 7) == 5 && mod == 0) {
            i->base = NO_REG;
            disp = 4;
        }
    } else if (rm == 5 && mod == 0) {
        i->base = NO_REG;
        i->scale = NO_REG; /* rip */
        disp = 4;
    }
    i->disp = (uint64_t)immediate(c, disp);
}

static void modrm(struct cursor *c, uint8_t rex, struct insn *i)
{
    uint8_t m = byte(c);
    i->reg = m >> 3 & 7;
    if (!(i->bits & FORM_DIGIT))
        i->reg |= (rex & 4) << 1;
    if (m >> 6 == 3)
        i->rm = (m & 7) | (rex & 1) << 3;
    else
        memory_operand(c, rex, m >> 6, m & 7, i);
}

static unsigned immediate_size(const struct insn *i, uint8_t rex)
{
    if (i->bits & FORM_IMM8 || (i->op == 0xf6 && i->reg == 0))
        return 1;
    if (i->op >= 0xb8 && i->op <= 0xbf && rex & 8)
        return 8;
    if (i->op == OP_JMP || (i->op & ~0xf) == OP_JCC)
        return 4;
    if (i->bits & FORM_IMMZ || (i->op == OP_GROUP3 && i->reg == 0))
        return i->size == 2 ? 2 : 4;
    return 0;
}

/* Short forms become the general ones, so that what follows sees few opcodes. */
static void normalise(struct insn *i, uint8_t rex)
{
    uint16_t op = i->op;
    if (op < 0x40 && (op & 7) >= 4) {
        i->op = 0x80 | (op & 1);
        i->reg = (uint8_t)(op >> 3);
        i->rm = 0;
        i->bits |= FORM_DIGIT | group1[i->reg].bits;
    } else if (op == 0xa8 || op == 0xa9) {
        i->op = 0xf6 | (op & 1);
        i->reg = i->rm = 0;
        i->bits |= FORM_DIGIT | FORM_RM_R;
    } else if (op >= 0xb0 && op <= 0xbf) {
        i->rm = (op & 7) | (rex & 1) << 3;
        i->reg = 0;
        i->op = op < 0xb8 ? 0xc6 : i->imm_bytes == 8 ? OP_MOV_IMM64 : 0xc7;
        i->bits |= FORM_DIGIT;
    } else if (op == 0x98) {
        i->reg = i->rm = 0;
        i->bits |= FORM_REG_W | FORM_RM_R;
        i->op = i->size == 8 ? OP_MOVSXD : OP_0F | (i->size == 4 ? 0xbf : 0xbe);
        i->rm_size = i->size / 2;
    } else if ((op & ~7) == OP_BSWAP) {
        i->rm = (op & 7) | (rex & 1) << 3;
        i->op = OP_BSWAP;
        i->bits |= FORM_DIGIT;
        i->reg = 1;
    } else if (op == 0xd0 || op == 0xd1) {
        i->op = OP_SHIFT_IMM8 | (op & 1);
        i->imm = 1;
        i->imm_bytes = 1;
    } else if ((op >= 0x70 && op <= 0x7f) || (op & ~0xf) == OP_JCC) {
        i->op = OP_JCC;
    } else if (op == 0xeb) {
        i->op = OP_JMP;
    } else if (op == (OP_0F | 0x1f)) {
        i->op = OP_NOP;
    }
}

static bool high_byte(unsigned size, uint8_t reg, uint8_t rex)
{
    return size == 1 && !rex && reg >= 4 && reg <= 7;
}

static bool shift_is_fit(struct insn *i)
{
    unsigned bits = i->size * 8u;
    if (i->op == OP_SHIFT_CL) {
        i->by_cl = true;
        return i->size >= 4 && i->effect != EFFECT_ROL && i->effect != EFFECT_ROR && !i->mem;
    }
    i->imm &= i->size == 8 ? 63 : 31;
    if (i->mem && i->imm > 1 && (i->effect == EFFECT_ROL || i->effect == EFFECT_ROR))
        return false;
    return i->imm && (unsigned)i->imm < bits;
}

static bool vector_is_fit(const struct insn *i)
{
    uint8_t op = (uint8_t)i->op;
    if ((i->vec & VEC_REG && i->reg == VEC_TEMP) || (i->vec & VEC_RM && !i->mem && i->rm == VEC_TEMP))
        return false;
    if (op >= 0x71 && op <= 0x73) /* by an immediate: words, doublewords, quadwords and bytes */
        return !i->mem && (i->reg == 2 || i->reg == 6 || (i->reg == 4 && op != 0x73) ||
                           (op == 0x73 && (i->reg == 3 || i->reg == 7)));
    if (op == 0xd7)
        return !i->mem;
    /* Half moves whose register form is another instruction, or none. */
    bool half = !i->prefix ? op == 0x13 || op == 0x17 : i->prefix == 0x66 && (op & ~7) == 0x10 && (op & 2);
    bool only_memory = half || op == 0x2b || op == 0xe7;
    return i->mem || !only_memory;
}

/* What its form does not say: operands and sizes that are refused. */
static bool is_fit(struct insn *i, uint8_t rex)
{
    uint16_t op = i->op;
    if (i->vec)
        return vector_is_fit(i);
    if (op == OP_XCHG && (i->mem || i->size < 4))
        return false;
    if (op == OP_LEA && (!i->mem || i->size < 4))
        return false;
    if (op == OP_MOVSXD && i->size != 8)
        return false;
    if (op == OP_BSWAP && i->size < 4)
        return false;
    if (i->effect == EFFECT_MUL && (i->size < 4 || op == 0xf6))
        return false;
    if ((op == OP_SHIFT_IMM || op == OP_SHIFT_IMM8 || op == OP_SHIFT_CL) && !shift_is_fit(i))
        return false;
    if (i->mem && (op & ~0xf) == (OP_0F | 0x90))
        return false; /* where the store faults, the engine has lost the flags already */
    if (i->bits & FORM_END && i->size == 2)
        return false; /* processors disagree about 66 before a jump */
    if (!i->mem && i->bits & (FORM_RM_R | FORM_RM_W) && high_byte(i->rm_size, i->rm, rex))
        return false;
    return !(i->bits & (FORM_REG_R | FORM_REG_W)) || !high_byte(i->size, i->reg, rex);
}

static const struct vector_form *vector_form(uint16_t op, const struct prefixes *x)
{
    const struct vector_form *table = x->rep == 0xf3 ? vector_f3
                                      : x->rep       ? vector_f2
                                      : x->word      ? vector_66
                                                     : vector_none;
    return op & OP_0F && table[op & 0xff].vec ? &table[op & 0xff] : NULL;
}

static void vector_opcode(const struct vector_form *f, const struct prefixes *x, struct insn *i)
{
    bool general = !(f->vec & VEC_RM) && f->bytes == 4; /* MOVD, or MOVQ with REX.W */
    i->vec = f->vec;
    i->bits = f->bits;
    i->prefix = x->rep ? x->rep : x->word ? 0x66 : 0;
    i->size = general && x->rex & 8 ? 8 : 4;
    i->rm_size = general ? i->size : f->bytes;
}

static bool opcode(struct cursor *c, const struct prefixes *x, struct insn *i)
{
    i->op = byte(c);
    if (i->op == 0x0f)
        i->op = OP_0F | byte(c);
    const struct vector_form *v = vector_form(i->op, x);
    if (v) {
        vector_opcode(v, x, i);
        return true;
    }
    if (x->rep)
        return false;
    const struct form *f = i->op & OP_0F ? &two_bytes[i->op & 0xff] : &one_byte[i->op];
    i->bits = f->bits;
    i->effect = f->effect;
    i->size = f->bits & FORM_BYTE ? 1 : x->rex & 8 ? 8 : x->word ? 2 : 4;
    i->rm_size = f->bits & FORM_RM8 ? 1 : f->bits & FORM_RM16 ? 2 : i->op == OP_MOVSXD ? 4 : i->size;
    i->cond = i->op & 15;
    if (i->op == OP_NOP && x->rex & 1)
        return false; /* XCHG R8, RAX */
    return i->bits;
}

static bool group(struct insn *i)
{
    if (i->vec)
        return true;
    if (!(i->bits & FORM_DIGIT) || (i->op & ~0xf) == (OP_0F | 0x90))
        return true;
    const struct form *row = group_row(i);
    i->bits |= row->bits;
    i->effect = row->effect;
    return row->bits;
}

bool insn_decode(const uint8_t *code, size_t room, uint64_t pc, struct insn *out)
{
    struct cursor c = {code, code + (room < 15 ? room : 15), false};
    struct prefixes x;
    struct insn i = {.pc = pc, .rm = NO_REG, .reg = NO_REG, .base = NO_REG, .index = NO_REG};
    if (!prefixes(&c, &x) || !opcode(&c, &x, &i))
        return false;
    i.seg = x.seg;
    if (i.bits & FORM_MODRM)
        modrm(&c, x.rex, &i);
    if (!group(&i))
        return false;
    i.imm_bytes = (uint8_t)immediate_size(&i, x.rex);
    i.imm = immediate(&c, i.imm_bytes);
    i.len = (uint8_t)(c.p - code);
    if (!i.vec)
        normalise(&i, x.rex);
    if (c.over || !is_fit(&i, x.rex))
        return false;
    if (i.bits & FORM_END)
        i.target = pc + i.len + (uint64_t)i.imm;
    if (i.mem && i.scale == NO_REG)
        i.disp += pc + i.len;
    *out = i;
    return true;
}
