/* IN, OUT, INS, OUTS as trapped instructions. A REP is done in bounded steps: memory faults and interrupts find its registers as the
 * architecture says, after a whole number of elements. */
#include "cpu/cpu.h"
#include "cpu/trap.h"

#define STEP 1024 /* elements of a REP per trap */

static uint32_t port_of(const struct trap *t)
{
    bool immediate = t->op->opcode >= 0xe4 && t->op->opcode <= 0xe7;
    return immediate ? t->op->imm & 0xff : (uint32_t)t->g->reg[RDX] & 0xffff;
}

void trap_in(struct trap *t)
{
    trap_set_reg(t, RAX, t->op->size, cpu_port_read(t->v, port_of(t), t->op->size, t->ra));
}

void trap_out(struct trap *t)
{
    cpu_port_write(t->v, port_of(t), t->op->size, (uint32_t)t->g->reg[RAX], t->ra);
}

static uint64_t count_mask(const struct trap *t)
{
    return t->op->address_size == 8 ? UINT64_MAX : t->op->address_size == 4 ? UINT32_MAX : 0xffff;
}

static void advance(struct trap *t, unsigned reg, int64_t by)
{
    uint64_t mask = count_mask(t), value = (t->g->reg[reg] + (uint64_t)by) & mask;
    t->g->reg[reg] = mask == UINT32_MAX ? value : (t->g->reg[reg] & ~mask) | value;
}

static uint64_t linear(const struct trap *t, unsigned reg, unsigned segment)
{
    uint64_t ea = t->g->reg[reg] & count_mask(t);
    if (t->site->mode != SBE_MODE_64)
        return (uint32_t)(ea + t->g->seg[segment].base);
    return segment >= SBE_SEG_FS ? ea + t->g->seg[segment].base : ea;
}

static void ins_one(struct trap *t)
{
    uint64_t va = linear(t, RDI, SBE_SEG_ES);
    uint32_t value = cpu_port_read(t->v, (uint32_t)t->g->reg[RDX], t->op->size, t->ra);
    engine_store(t->v, va, t->op->size, value, t->ra);
    advance(t, RDI, t->g->df * t->op->size);
}

static void outs_one(struct trap *t)
{
    uint64_t value = engine_load(t->v, linear(t, RSI, t->op->segment), t->op->size, t->ra);
    cpu_port_write(t->v, (uint32_t)t->g->reg[RDX], t->op->size, (uint32_t)value, t->ra);
    advance(t, RSI, t->g->df * t->op->size);
}

static void repeat(struct trap *t, void (*one)(struct trap *))
{
    if (!(t->op->flags & (SBE_OP_REP | SBE_OP_REPNE))) {
        one(t);
        return;
    }
    unsigned step = t->g->rflags & FLAG_TF ? 1 : STEP;
    for (unsigned i = 0; i < step && t->g->reg[RCX] & count_mask(t); i++) {
        one(t);
        advance(t, RCX, -1);
    }
    t->again = (t->g->reg[RCX] & count_mask(t)) != 0;
}

void trap_ins(struct trap *t)
{
    repeat(t, ins_one);
}

void trap_outs(struct trap *t)
{
    repeat(t, outs_one);
}
