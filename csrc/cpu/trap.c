/* Trap entry: from a rewritten instruction to its handler, by one table over the rows of the instruction
 * table.
 *
 * A trap arrives with its site; the site has the operands decoded. Traps that continue their block return to
 * it. Those that end it come back through one of three shapes the engine translates (engine/translate.c),
 * which differ in what is synchronised before and what has to hold after. Leaves out: the instructions
 * themselves (emulate_*.c). */
#include "cpu/trap.h"

#include "core/vm.h"
#include "cpu/cpu.h"
#include "sbe/enter.h"

#define ALWAYS 0
#define CPL0 1 /* #GP(0) above CPL 0, before anything else */

static const struct {
    trap_handler *run;
    uint8_t privileged;
} handlers[SBE_INSN_COUNT] = {
    [SBE_INSN_CPUID] = {trap_cpuid, ALWAYS},
    [SBE_INSN_RDTSC] = {trap_rdtsc, ALWAYS},
    [SBE_INSN_RDTSCP] = {trap_rdtscp, ALWAYS},
    [SBE_INSN_RDPMC] = {trap_rdpmc, ALWAYS},
    [SBE_INSN_RDRAND] = {trap_undefined, ALWAYS},
    [SBE_INSN_RDSEED] = {trap_undefined, ALWAYS},
    [SBE_INSN_RDMSR] = {trap_rdmsr, CPL0},
    [SBE_INSN_WRMSR] = {trap_wrmsr, CPL0},
    [SBE_INSN_XSETBV] = {trap_xsetbv, CPL0},
    [SBE_INSN_XGETBV] = {trap_xgetbv, ALWAYS},
    [SBE_INSN_MOV_FROM_CR8] = {trap_mov_from_cr, CPL0},
    [SBE_INSN_MOV_TO_CR8] = {trap_mov_to_cr, CPL0},
    [SBE_INSN_MOV_FROM_CR] = {trap_mov_from_cr, CPL0},
    [SBE_INSN_MOV_TO_CR0] = {trap_mov_to_cr, CPL0},
    [SBE_INSN_MOV_TO_CR2] = {trap_mov_to_cr, CPL0},
    [SBE_INSN_MOV_TO_CR3] = {trap_mov_to_cr, CPL0},
    [SBE_INSN_MOV_TO_CR4] = {trap_mov_to_cr, CPL0},
    [SBE_INSN_CLTS] = {trap_clts, CPL0},
    [SBE_INSN_LMSW] = {trap_lmsw, CPL0},
    [SBE_INSN_SMSW] = {trap_smsw, ALWAYS},
    [SBE_INSN_MOV_FROM_DR] = {trap_mov_from_dr, CPL0},
    [SBE_INSN_MOV_TO_DR] = {trap_mov_to_dr, CPL0},
    [SBE_INSN_IN] = {trap_in, ALWAYS},
    [SBE_INSN_OUT] = {trap_out, ALWAYS},
    [SBE_INSN_INS] = {trap_ins, ALWAYS},
    [SBE_INSN_OUTS] = {trap_outs, ALWAYS},
    [SBE_INSN_CLI] = {trap_cli, ALWAYS},
    [SBE_INSN_STI] = {trap_sti, ALWAYS},
    [SBE_INSN_PUSHF] = {trap_pushf, ALWAYS},
    [SBE_INSN_POPF] = {trap_popf, ALWAYS},
    [SBE_INSN_HLT] = {trap_hlt, CPL0},
    [SBE_INSN_PAUSE] = {trap_pause, ALWAYS},
    [SBE_INSN_MONITOR] = {trap_undefined, ALWAYS},
    [SBE_INSN_MWAIT] = {trap_undefined, ALWAYS},
    [SBE_INSN_UMWAIT] = {trap_undefined, ALWAYS},
    [SBE_INSN_LGDT] = {trap_lgdt, CPL0},
    [SBE_INSN_LIDT] = {trap_lidt, CPL0},
    [SBE_INSN_SGDT] = {trap_sgdt, ALWAYS},
    [SBE_INSN_SIDT] = {trap_sidt, ALWAYS},
    [SBE_INSN_LLDT] = {trap_lldt, CPL0},
    [SBE_INSN_SLDT] = {trap_sldt, ALWAYS},
    [SBE_INSN_LTR] = {trap_ltr, CPL0},
    [SBE_INSN_STR] = {trap_str, ALWAYS},
    [SBE_INSN_IRET] = {trap_iret, ALWAYS},
    [SBE_INSN_SYSCALL] = {trap_syscall, ALWAYS},
    [SBE_INSN_SYSENTER] = {trap_sysenter, ALWAYS},
    [SBE_INSN_SYSRET] = {trap_sysret, CPL0},
    [SBE_INSN_SYSEXIT] = {trap_sysexit, CPL0},
    [SBE_INSN_SWAPGS] = {trap_swapgs, CPL0},
    [SBE_INSN_FSGSBASE] = {trap_fsgsbase, ALWAYS},
    [SBE_INSN_SMAP] = {trap_smap, ALWAYS},
    [SBE_INSN_INVLPG] = {trap_invlpg, CPL0},
    [SBE_INSN_INVPCID] = {trap_undefined, ALWAYS},
    [SBE_INSN_WBINVD] = {trap_nothing, CPL0},
    [SBE_INSN_INVD] = {trap_nothing, CPL0},
    [SBE_INSN_VMCALL] = {trap_vmcall, ALWAYS},
    [SBE_INSN_VMMCALL] = {trap_vmcall, ALWAYS},
};

void trap_gp(struct trap *t)
{
    engine_raise(t->v, EXC_GP, 0, t->ra);
}

void trap_ud(struct trap *t)
{
    engine_raise(t->v, EXC_UD, 0, t->ra);
}

void trap_enter_native(struct trap *t)
{
    engine_sync(t->v, t->ra);
    t->v->native_ra = t->ra;
}

void trap_leave_native(struct trap *t)
{
    t->v->native_ra = 0;
}

static uint64_t truncated(uint64_t value, unsigned bytes)
{
    return bytes == 2 ? value & 0xffff : bytes == 4 ? value & 0xffffffff : value;
}

uint64_t trap_address(const struct trap *t)
{
    const struct sbe_operand *op = t->op;
    bool long_mode = t->site->mode == SBE_MODE_64;
    uint64_t ea = (uint64_t)(int64_t)op->disp;
    if (op->base == SBE_REG_RIP)
        ea += t->next_rip;
    else if (op->base != SBE_REG_NONE)
        ea += t->g->reg[op->base];
    if (op->index != SBE_REG_NONE)
        ea += t->g->reg[op->index] * op->scale;
    ea = truncated(ea, op->address_size);
    if (!long_mode || op->segment >= SBE_SEG_FS)
        ea += t->g->seg[op->segment].base;
    return long_mode ? ea : ea & 0xffffffff;
}

uint64_t trap_reg(const struct trap *t, unsigned reg, unsigned size)
{
    return truncated(t->g->reg[reg & 15], size);
}

void trap_set_reg(struct trap *t, unsigned reg, unsigned size, uint64_t value)
{
    uint64_t *r = &t->g->reg[reg & 15];
    if (size == 1)
        *r = (*r & ~0xffull) | (value & 0xff);
    else if (size == 2)
        *r = (*r & ~0xffffull) | (value & 0xffff);
    else
        *r = size == 4 ? (uint32_t)value : value;
}

uint64_t trap_read_rm(struct trap *t, unsigned size)
{
    if (t->op->flags & SBE_OP_REG)
        return trap_reg(t, t->op->rm, size);
    return engine_load(t->v, trap_address(t), size, t->ra);
}

void trap_write_rm(struct trap *t, unsigned size, uint64_t value)
{
    if (t->op->flags & SBE_OP_REG)
        trap_set_reg(t, t->op->rm, size, value);
    else
        engine_store(t->v, trap_address(t), size, value, t->ra);
}

/* The handler changed rip or state that a block's key depends on. How the block is left depends on what the
 * trap was translated as. */
static void end_block(struct trap *t, enum trap_form form)
{
    t->g->rip = t->next_rip;
    /* SYSCALL's block looks at TF as it is now; but for SYSCALL and SYSRET themselves, what it was before
     * decides. */
    bool was_set = t->flags_before & FLAG_TF, changed = (t->flags_before ^ t->g->rflags) & FLAG_TF;
    bool own = form == TRAP_AS_SYSCALL && changed && t->site->cls != SBE_CLASS_SYSCALL;
    if (form == TRAP_AS_HLT || own) {
        if (was_set)
            engine_single_step(t->v);
        engine_resume_at(t->v);
    }
    if (form == TRAP_AS_IRET)
        engine_set_flags(t->v, engine_flags(t->v));
}

static void repeat_in_new_block(struct trap *t, enum trap_form form)
{
    engine_sync(t->v, t->ra);
    if (form == TRAP_AS_OUT)
        engine_finish_instruction(t->v, t->ra);
    if (t->flags_before & FLAG_TF)
        engine_single_step(t->v);
    engine_resume_at(t->v);
}

/* What native code reaches through a wrapped helper counts itself there; the rest is counted here. */
static void run_handler(struct trap *t)
{
    uint64_t *count = &t->v->stats.trap[t->site->cls], before = *count;
    handlers[t->site->insn].run(t);
    if (*count == before)
        ++*count;
}

void cpu_trap(struct vcpu *v, uint32_t index, uintptr_t ra, enum trap_form form)
{
    const struct sbe_site *site =
        v->parallel ? sbe_enter_shared(v->vm->sites, index) : sbe_enter(v->vm->sites, index);
    struct trap t = {
        .v = v, .g = v->guest, .site = site, .op = &site->op, .ra = ra, .flags_before = v->guest->rflags};
    t.next_rip = site->pc - v->guest->seg[SEG_CS].base + site->len;
    v->stats.monitor_entries++;
    board_trace_to(v->trace, v->board, VMK_TRACE_TRAP, v->id, site->pc, index, site->cls);
    if (site->op.flags & (SBE_OP_LOCK | SBE_OP_UD) || !handlers[site->insn].run)
        trap_ud(&t);
    if (handlers[site->insn].privileged && guest_cpl(v->guest))
        trap_gp(&t);
    if (form == TRAP_AS_IRET)
        engine_sync(v, ra);
    /* An interrupt shadow ends here; the handler may begin another. */
    if (form == TRAP_AS_HLT || form == TRAP_AS_SYSCALL)
        v->guest->hflags &= ~(uint32_t)HF_INHIBIT;
    run_handler(&t);
    if (t.again)
        repeat_in_new_block(&t, form);
    if (form != TRAP_AS_OUT)
        end_block(&t, form);
}
