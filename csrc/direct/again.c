/* Flags without saving them: the instruction that made them is done again where they are asked for.
 *
 * A comparison can be repeated as long as its operands are what they were. An addition or subtraction is
 * first undone in a spare register; logic is a test of its result. So the end of most loops, and most of
 * their accesses, need not save the flags, which only a fault, a safe point or the way out would ever look
 * at. A block may begin so if the one block that leads to it ends so. */
#include "direct/compiler.h"

/* Register operands: the destination, or the first of a comparison; the other, or NO_REG. */
struct operands {
    uint8_t first, second;
};

static bool is_alu(const struct insn *i)
{
    return i->op < 0x40;
}

static struct operands operands(const struct insn *i)
{
    if (i->bits & FORM_DIGIT)
        return (struct operands){i->rm, NO_REG};
    bool to_reg = is_alu(i) && i->op & 2;
    return to_reg ? (struct operands){i->reg, i->rm} : (struct operands){i->rm, i->reg};
}

static bool writes(const struct insn *i)
{
    return i->bits & (FORM_RM_W | FORM_REG_W);
}

/* Opcode's row of the eight arithmetic instructions, or that of TEST. */
enum { ROW_ADD = 0, ROW_SUB = 5, ROW_CMP = 7, ROW_TEST = 8, ROW_NONE = 9 };

static unsigned row(const struct insn *i)
{
    if (is_alu(i))
        return i->op >> 3;
    switch (i->op) {
    case 0x80: case 0x81: case 0x83: return i->reg;
    case 0x84: case 0x85: return ROW_TEST;
    case 0xf6: case 0xf7: return i->reg == 0 ? ROW_TEST : ROW_NONE;
    default: return ROW_NONE;
    }
}

bool again_can(const struct insn *i)
{
    if (i->mem || i->vec || i->bits & FORM_CF_IN || row(i) == ROW_NONE)
        return false;
    struct operands o = operands(i);
    return !writes(i) || i->effect == EFFECT_LOGIC || o.first != o.second;
}

/* A product's two registers need no look: it writes all flags. */
bool again_spoils(const struct insn *again, const struct insn *i)
{
    struct operands o = operands(again);
    if (i->bits & FORM_REG_W && (i->reg == o.first || i->reg == o.second))
        return true;
    return i->bits & FORM_RM_W && !i->mem && !(i->vec & VEC_RM) && (i->rm == o.first || i->rm == o.second);
}

static void on_temp(struct compiler *c, const struct insn *i, unsigned which)
{
    struct assembler *a = &c->a;
    uint8_t second = operands(i).second;
    if (second == NO_REG) {
        asm_modrm_tail(a, i->op, i->size, (uint8_t)which, in_reg(TEMP), i->size == 1, i->imm_bytes);
        for (unsigned k = 0; k < i->imm_bytes; k++)
            asm_byte(a, (uint8_t)((uint64_t)i->imm >> (8 * k)));
        return;
    }
    struct operand from = c->map[second] == NO_REG ? guest_reg(second) : in_reg(c->map[second]);
    asm_modrm_tail(a, which << 3 | (i->size == 1 ? 2 : 3), i->size, TEMP, from, i->size == 1, 0);
}

void again_emit(struct compiler *c, const struct insn *i)
{
    uint8_t first = operands(i).first;
    if (!writes(i)) {
        rename_insn(c, i);
    } else if (i->effect == EFFECT_LOGIC) {
        uint8_t reg = rename_in(c, first, TEMP);
        asm_modrm_tail(&c->a, i->size == 1 ? 0x84 : 0x85, i->size, reg, in_reg(reg), i->size == 1, 0);
    } else {
        asm_mov(&c->a, 8, TEMP, rename_in(c, first, TEMP));
        on_temp(c, i, ROW_ADD + ROW_SUB - row(i));
        on_temp(c, i, row(i));
    }
}

/* What the flags can be had from where the block ends. */
static const struct insn *at_end(const struct compiler *c, const struct direct_block *b)
{
    for (unsigned k = b->first + b->n; k-- > b->first;) {
        const struct insn *i = &c->insn[k];
        if (!i->effect)
            continue;
        for (unsigned later = k + 1; later < b->first + (unsigned)b->n; later++)
            if (again_spoils(i, &c->insn[later]))
                return NULL;
        return again_can(i) ? i : NULL;
    }
    return NULL;
}

static unsigned ways_in(const struct compiler *c, int block)
{
    unsigned n = block == 0 && !flags_may_be_lazy(c); /* the entry saves them */
    for (unsigned k = 0; k < c->loop->blocks; k++)
        n += (c->loop->block[k].to[0] == block) + (c->loop->block[k].to[1] == block);
    return n;
}

void again_plan(struct compiler *c)
{
    for (unsigned k = 0; k < c->loop->blocks; k++) {
        const struct direct_block *b = &c->loop->block[k];
        const struct insn *i = at_end(c, b);
        for (unsigned jump = 0; jump < 2; jump++)
            if (b->to[jump] >= 0 && ways_in(c, b->to[jump]) > 1)
                i = NULL;
        for (unsigned jump = 0; jump < 2; jump++)
            if (b->to[jump] >= 0)
                c->entered[b->to[jump]] = i;
    }
}

bool again_kept(const struct compiler *c, const struct direct_block *b)
{
    const struct insn *i = c->flags.again;
    for (unsigned jump = 0; jump < 2; jump++)
        if (b->to[jump] >= 0 && (!i || c->entered[b->to[jump]] != i))
            return false;
    return true;
}
