/* The other trapped instructions: identification, time, MSRs, control and debug registers, fast system calls,
 * TLB, XCR0. Most are one call of the function the engine's own helper would have reached. */
#include "cpu/backdoor.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/trap.h"
#include "cpu/vmi.h"

void trap_cpuid(struct trap *t) { cpu_cpuid(t->v, t->ra); }
void trap_rdtsc(struct trap *t) { cpu_rdtsc(t->v, t->ra); }
void trap_rdtscp(struct trap *t) { cpu_rdtscp(t->v, t->ra); }
void trap_rdpmc(struct trap *t) { cpu_rdpmc(t->v, t->ra); }
void trap_rdmsr(struct trap *t) { cpu_rdmsr(t->v, t->ra); }
void trap_wrmsr(struct trap *t) { cpu_wrmsr(t->v, t->ra); }
void trap_undefined(struct trap *t) { trap_ud(t); }
void trap_nothing(struct trap *t) { (void)t; } /* caches that do not exist are always written back */

void trap_mov_from_cr(struct trap *t)
{
    trap_set_reg(t, t->op->rm, t->op->size, cpu_read_cr(t->v, t->op->reg));
}

void trap_mov_to_cr(struct trap *t)
{
    cpu_write_cr(t->v, t->op->reg, trap_reg(t, t->op->rm, t->op->size), t->ra);
}

void trap_clts(struct trap *t)
{
    engine_set_cr0(t->v, t->g->cr[0] & ~(uint64_t)CR0_TS);
}

/* LMSW can set PE but not clear it. */
void trap_lmsw(struct trap *t)
{
    uint64_t msw = trap_read_rm(t, 2) & 15;
    cpu_write_cr(t->v, 0, (t->g->cr[0] & ~14ull) | msw, t->ra);
}

void trap_smsw(struct trap *t)
{
    if (t->g->cr[4] & CR4_UMIP && guest_cpl(t->g))
        trap_gp(t);
    trap_write_rm(t, t->op->flags & SBE_OP_REG ? t->op->size : 2, t->g->cr[0]);
}

static void check_dr(struct trap *t)
{
    if (t->op->reg > 7 || (t->g->cr[4] & CR4_DE && (t->op->reg == 4 || t->op->reg == 5)))
        trap_ud(t);
}

void trap_mov_from_dr(struct trap *t)
{
    check_dr(t);
    cpu_check_dr(t->v, t->ra);
    trap_set_reg(t, t->op->rm, t->op->size, engine_get_dr(t->v, t->op->reg));
}

void trap_mov_to_dr(struct trap *t)
{
    uint64_t value = trap_reg(t, t->op->rm, t->op->size);
    check_dr(t);
    value = cpu_check_dr_write(t->v, t->op->reg, value, t->ra);
    trap_enter_native(t);
    engine_set_dr(t->v, t->op->reg, value);
    trap_leave_native(t);
}

void trap_xgetbv(struct trap *t)
{
    if (!(t->g->cr[4] & CR4_OSXSAVE))
        trap_ud(t);
    if ((uint32_t)t->g->reg[RCX])
        trap_gp(t);
    t->g->reg[RAX] = (uint32_t)t->g->xcr0;
    t->g->reg[RDX] = t->g->xcr0 >> 32;
}

void trap_xsetbv(struct trap *t)
{
    uint64_t value = (uint32_t)t->g->reg[RAX] | t->g->reg[RDX] << 32;
    if (!(t->g->cr[4] & CR4_OSXSAVE))
        trap_ud(t);
    if ((uint32_t)t->g->reg[RCX] || !(value & 1) ||
        value & ~3ull) /* x87 always, SSE if wanted, nothing else is there */
        trap_gp(t);
    trap_enter_native(t);
    engine_xsetbv(t->v, 0, value);
    trap_leave_native(t);
}

void trap_syscall(struct trap *t)
{
    engine_sync(t->v, t->ra);
    cpu_syscall(t->v, t->site->len, t->ra);
    t->next_rip = t->g->rip;
}

void trap_sysenter(struct trap *t)
{
    cpu_sysenter(t->v, t->site->len, t->ra);
    t->next_rip = t->g->rip;
}

static void native_return(struct trap *t, void (*go)(struct vcpu *, unsigned))
{
    bool long_mode = t->op->flags & SBE_OP_REX_W;
    if (!(t->g->hflags & HF_PE))
        trap_gp(t);
    (go == engine_sysret ? cpu_check_sysret : cpu_check_sysexit)(t->v, long_mode, t->ra);
    trap_enter_native(t);
    go(t->v, long_mode ? 8 : 4);
    trap_leave_native(t);
    t->next_rip = t->g->rip;
}

void trap_sysret(struct trap *t) { native_return(t, engine_sysret); }
void trap_sysexit(struct trap *t) { native_return(t, engine_sysexit); }

void trap_swapgs(struct trap *t)
{
    uint64_t base = t->g->seg[SEG_GS].base;
    if (t->site->mode != SBE_MODE_64)
        trap_ud(t);
    t->g->seg[SEG_GS].base = t->g->kernel_gs_base;
    t->g->kernel_gs_base = base;
}

void trap_fsgsbase(struct trap *t)
{
    /* F3 0F AE /0 RDFSBASE, /1 RDGSBASE, /2 WRFSBASE, /3 WRGSBASE */
    struct segment *s = &t->g->seg[t->op->reg & 1 ? SEG_GS : SEG_FS];
    if (t->site->mode != SBE_MODE_64 || !(t->g->cr[4] & CR4_FSGSBASE))
        trap_ud(t);
    if (t->op->reg < 2) {
        trap_set_reg(t, t->op->rm, t->op->size, s->base);
        return;
    }
    uint64_t base = trap_reg(t, t->op->rm, t->op->size);
    if (!cpu_canonical(base))
        trap_gp(t);
    s->base = base;
}

void trap_smap(struct trap *t)
{
    if (!cpuid_has(t->v, CPUID_7_EBX, 20) || guest_cpl(t->g))
        trap_ud(t);
    if (t->site->bytes[t->site->len - 1] == 0xcb) /* STAC; CLAC is CA */
        t->g->rflags |= FLAG_AC;
    else
        t->g->rflags &= ~(uint64_t)FLAG_AC;
}

void trap_invlpg(struct trap *t)
{
    engine_invlpg(t->v, trap_address(t));
}

void trap_vmcall(struct trap *t)
{
    if (!vmi_call(t->v, t->ra) && !backdoor_call(t->v, 4, t->ra))
        trap_ud(t);
}
