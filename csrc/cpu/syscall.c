/* SYSCALL and SYSENTER, which the engine has no bodies for. Follows the AMD APM volume 2, 6.1 and the Intel
 * SDM volume 2. The engine executes SYSRET and SYSEXIT itself. */
#include "core/vcpu.h"
#include "cpu/cpu.h"
#include "engine/engine.h"

/* Descriptor caches as these instructions load them: flat, present, accessed, DPL 0. */
#define CODE64 0x00af9b00u
#define CODE32 0x00cf9b00u
#define DATA 0x00cf9300u

static void load_flat(struct guest *g, uint16_t cs, uint32_t code)
{
    g->seg[SEG_CS] = (struct segment){.selector = cs & 0xfffc, .limit = UINT32_MAX, .flags = code};
    g->seg[SEG_SS] = (struct segment){.selector = (cs & 0xfffc) + 8u, .limit = UINT32_MAX, .flags = DATA};
    uint32_t keep = g->hflags & ~(uint32_t)(HF_CPL | HF_ADDSEG | HF_INHIBIT | HF_CS64 | HF_CS32 | HF_SS32);
    bool bases = g->seg[SEG_DS].base || g->seg[SEG_ES].base;
    g->hflags = keep | HF_CS32 | HF_SS32 | (code == CODE64 ? HF_CS64 : bases ? HF_ADDSEG : 0);
}

void cpu_syscall(struct vcpu *v, unsigned length, uintptr_t ra)
{
    struct guest *g = v->guest;
    bool lma = g->hflags & HF_LMA;
    v->stats.trap[SBE_CLASS_SYSCALL]++;
    /* Intel, whose vendor string the CPU models carry, has SYSCALL in 64-bit code only. */
    if (!(g->efer & EFER_SCE) || !(g->hflags & HF_CS64) || !lma)
        engine_raise(v, EXC_UD, 0, ra);
    uint64_t flags = engine_flags(v);
    g->reg[RCX] = g->rip + length;
    g->reg[R11] = flags & ~(uint64_t)FLAG_RF;
    engine_set_flags(v, flags & ~g->fmask & ~(uint64_t)(FLAG_RF | FLAG_VM));
    load_flat(g, (uint16_t)(g->star >> 32), CODE64);
    g->rip = g->lstar;
}

void cpu_sysenter(struct vcpu *v, unsigned length, uintptr_t ra)
{
    struct guest *g = v->guest;
    bool lma = g->hflags & HF_LMA;
    (void)length;
    v->stats.trap[SBE_CLASS_SYSCALL]++;
    if (!(g->hflags & HF_PE) || !(g->sysenter_cs & 0xfffc))
        engine_raise(v, EXC_GP, 0, ra);
    g->rflags &= ~(uint64_t)(FLAG_IF | FLAG_VM | FLAG_RF);
    load_flat(g, (uint16_t)g->sysenter_cs, lma ? CODE64 : CODE32);
    g->reg[RSP] = lma ? g->sysenter_esp : (uint32_t)g->sysenter_esp;
    g->rip = lma ? g->sysenter_eip : (uint32_t)g->sysenter_eip;
}
