/* CLI, STI, PUSHF, POPF, IRET, HLT, PAUSE: the interrupt flag and everything that moves it. Follows the Intel
 * SDM volume 2. */
#include "cpu/cpu.h"
#include "cpu/trap.h"

#define POPF_ALWAYS (FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID)
#define POPF_16 0xffffull

static unsigned iopl(const struct trap *t)
{
    return t->g->rflags >> 12 & 3;
}

static void check_iopl(struct trap *t)
{
    if (t->g->hflags & HF_PE && guest_cpl(t->g) > iopl(t))
        trap_gp(t);
}

void trap_cli(struct trap *t)
{
    check_iopl(t);
    t->g->rflags &= ~(uint64_t)FLAG_IF;
}

void trap_sti(struct trap *t)
{
    check_iopl(t);
    if (!(t->g->rflags & FLAG_IF))
        t->g->hflags |= HF_INHIBIT; /* the engine clears it after the next instruction */
    t->g->rflags |= FLAG_IF;
}

static uint64_t stack_mask(const struct trap *t)
{
    if (t->site->mode == SBE_MODE_64)
        return UINT64_MAX;
    return t->g->hflags & HF_SS32 ? UINT32_MAX : 0xffff;
}

static uint64_t stack_address(const struct trap *t, uint64_t sp)
{
    if (t->site->mode == SBE_MODE_64)
        return sp;
    return (uint32_t)(t->g->seg[SEG_SS].base + (sp & stack_mask(t)));
}

static void set_sp(struct trap *t, uint64_t sp)
{
    uint64_t mask = stack_mask(t);
    t->g->reg[RSP] = (t->g->reg[RSP] & ~mask & (mask == UINT32_MAX ? 0 : UINT64_MAX)) | (sp & mask);
}

void trap_pushf(struct trap *t)
{
    engine_sync(t->v, t->ra);
    uint64_t flags = engine_flags(t->v) & ~(uint64_t)(FLAG_VM | FLAG_RF);
    uint64_t sp = t->g->reg[RSP] - t->op->size;
    engine_store(t->v, stack_address(t, sp), t->op->size, flags, t->ra);
    set_sp(t, sp);
}

void trap_popf(struct trap *t)
{
    uint64_t mask = POPF_ALWAYS;
    uint64_t popped = engine_load(t->v, stack_address(t, t->g->reg[RSP]), t->op->size, t->ra);
    uint64_t old = engine_flags(t->v);
    if (!guest_cpl(t->g))
        mask |= FLAG_IOPL | FLAG_IF;
    else if (guest_cpl(t->g) <= iopl(t))
        mask |= FLAG_IF;
    if (t->op->size == 2)
        mask &= POPF_16;
    set_sp(t, t->g->reg[RSP] + t->op->size);
    engine_set_flags(t->v, (old & ~mask & ~(uint64_t)FLAG_RF) | (popped & mask));
}

void trap_iret(struct trap *t)
{
    trap_enter_native(t);
    engine_iret(t->v, t->op->size, t->next_rip);
    trap_leave_native(t);
    t->next_rip = t->g->rip;
}

void trap_hlt(struct trap *t)
{
    cpu_hlt(t->v, t->site->len, t->ra);
}

void trap_pause(struct trap *t)
{
    cpu_pause(t->v, t->site->len, t->ra);
}
