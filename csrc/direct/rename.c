/* The guest's instruction with the host's registers in place of its own.
 *
 * A register that has no host register stays in the guest's state and is used from there: as the r/m operand,
 * or through TEMP (the reg operand) and ADDRESS (a 32-bit destination, whose upper half becomes 0). A memory
 * operand has been checked and is at [ADDRESS]. Nothing here changes flags that the instruction does not. */
#include "direct/compiler.h"

uint8_t rename_in(struct compiler *c, uint8_t guest, uint8_t temp)
{
    if (c->map[guest] != NO_REG)
        return c->map[guest];
    asm_load(&c->a, 8, temp, guest_reg(guest));
    return temp;
}

static void put(struct compiler *c, uint8_t guest, uint8_t host)
{
    if (c->map[guest] == NO_REG)
        asm_store(&c->a, 8, guest_reg(guest), host);
    else if (c->map[guest] != host)
        asm_mov(&c->a, 8, c->map[guest], host);
}

static void immediate(struct compiler *c, const struct insn *i)
{
    for (unsigned k = 0; k < i->imm_bytes; k++)
        asm_byte(&c->a, (uint8_t)((uint64_t)i->imm >> (8 * k)));
}


static void general(struct compiler *c, const struct insn *i)
{
    struct assembler *a = &c->a;
    bool has_reg = i->bits & (FORM_REG_R | FORM_REG_W), byte_regs = i->size == 1 || i->rm_size == 1;
    bool spilled_reg = has_reg && c->map[i->reg] == NO_REG;
    uint8_t reg = i->reg;
    if (has_reg)
        reg = spilled_reg ? TEMP : c->map[reg];
    /* A byte or word write keeps the rest; a load of the whole register is not worth telling apart. */
    if (spilled_reg && (i->bits & FORM_REG_R || i->size < 4))
        asm_load(a, 8, TEMP, guest_reg(i->reg));
    struct operand rm = at(ADDRESS, 0);
    bool widened = false;
    if (!i->mem) {
        rm = c->map[i->rm] != NO_REG ? in_reg(c->map[i->rm]) : guest_reg(i->rm);
        widened = c->map[i->rm] == NO_REG && i->bits & FORM_RM_W && i->size == 4;
    }
    if (widened) {
        asm_load(a, 8, ADDRESS, rm);
        rm = in_reg(ADDRESS);
    }
    asm_modrm_tail(a, i->op, i->size, reg, rm, byte_regs, i->imm_bytes);
    immediate(c, i);
    if (widened)
        asm_store(a, 8, guest_reg(i->rm), ADDRESS);
    if (spilled_reg && i->bits & FORM_REG_W)
        asm_store(a, 8, guest_reg(i->reg), TEMP);
}

/* The address computation, into TEMP where the destination has no host register. */
static void lea(struct compiler *c, const struct insn *i)
{
    uint8_t to = c->map[i->reg] == NO_REG ? TEMP : c->map[i->reg];
    if (i->scale == NO_REG) {
        asm_constant(&c->a, to, i->size == 4 ? (uint32_t)i->disp : i->disp);
    } else {
        uint8_t base = i->base == NO_REG ? NO_REG : rename_in(c, i->base, ADDRESS);
        uint8_t index = i->index == NO_REG ? NO_REG : rename_in(c, i->index, TEMP);
        asm_lea(&c->a, i->size, to, base, index, i->scale, (int32_t)i->disp);
    }
    put(c, i->reg, to);
}

static void exchange(struct compiler *c, const struct insn *i)
{
    asm_mov(&c->a, i->size, TEMP, rename_in(c, i->reg, TEMP));
    asm_mov(&c->a, i->size, ADDRESS, rename_in(c, i->rm, ADDRESS));
    put(c, i->reg, ADDRESS);
    put(c, i->rm, TEMP);
}

/* RDX:RAX = RAX * r/m. The guest's RDX is in the host's, or nobody's is. RAX's saved flags are void: all are
 * new. */
static void multiply(struct compiler *c, const struct insn *i)
{
    struct operand rm = at(ADDRESS, 0);
    if (!i->mem)
        rm = c->map[i->rm] != NO_REG ? in_reg(c->map[i->rm]) : guest_reg(i->rm);
    asm_mov(&c->a, 8, H_RAX, rename_in(c, RAX, H_RAX));
    asm_modrm(&c->a, OP_GROUP3, i->size, i->reg, rm);
    put(c, RAX, H_RAX);
    put(c, RDX, H_RDX);
}

static void swap_bytes(struct compiler *c, const struct insn *i)
{
    uint8_t reg = rename_in(c, i->rm, TEMP);
    if (i->size == 8 || reg >> 3)
        asm_byte(&c->a, (uint8_t)(0x40 | (i->size == 8 ? 8 : 0) | reg >> 3));
    asm_byte(&c->a, 0x0f);
    asm_byte(&c->a, 0xc8 | (reg & 7));
    put(c, i->rm, reg);
}

static void load_constant(struct compiler *c, const struct insn *i)
{
    uint8_t to = c->map[i->rm] == NO_REG ? TEMP : c->map[i->rm];
    asm_constant(&c->a, to, (uint64_t)i->imm);
    put(c, i->rm, to);
}

/* XMM registers keep their numbers. Memory is read and written without regard to alignment, as the engine
 * does: an operand of 16 bytes goes through a register of ours. */
static void vector(struct compiler *c, const struct insn *i)
{
    struct assembler *a = &c->a;
    struct operand rm = at(ADDRESS, 0);
    uint8_t reg = i->reg;
    bool wide = i->size == 8, general_reg = !(i->vec & VEC_REG) && i->bits & FORM_REG_W;
    if (i->mem && i->vec & VEC_MOVE) {
        asm_vector(a, 0, i->bits & FORM_RM_W ? OP_MOVUPS_STORE : OP_MOVUPS, false, reg, rm, 0);
        return;
    }
    if (i->mem && i->rm_size == 16) {
        asm_vector(a, 0, OP_MOVUPS, false, VEC_TEMP, rm, 0);
        rm = in_reg(VEC_TEMP);
    } else if (!i->mem && i->vec & VEC_RM) {
        rm = in_reg(i->rm);
    } else if (!i->mem) {
        bool in = i->bits & FORM_RM_R;
        rm = in_reg(in ? rename_in(c, i->rm, TEMP) : c->map[i->rm] == NO_REG ? TEMP : c->map[i->rm]);
    }
    if (general_reg)
        reg = c->map[i->reg] == NO_REG ? TEMP : c->map[i->reg];
    asm_vector(a, i->prefix, i->op, wide, reg, rm, i->imm_bytes);
    immediate(c, i);
    if (general_reg)
        put(c, i->reg, reg);
    else if (!i->mem && !(i->vec & VEC_RM) && i->bits & FORM_RM_W)
        put(c, i->rm, rm.reg);
}

void rename_insn(struct compiler *c, const struct insn *i)
{
    if (i->vec) {
        vector(c, i);
        return;
    }
    switch (i->op) {
    case OP_NOP:
        break;
    case OP_LEA:
        lea(c, i);
        break;
    case OP_XCHG:
        exchange(c, i);
        break;
    case OP_BSWAP:
        swap_bytes(c, i);
        break;
    case OP_MOV_IMM64:
        load_constant(c, i);
        break;
    case OP_GROUP3:
        if (i->effect == EFFECT_MUL)
            multiply(c, i);
        else
            general(c, i);
        break;
    default:
        general(c, i);
    }
}
