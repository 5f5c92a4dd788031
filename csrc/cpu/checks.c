/* Checks that the engine's own bodies of system instructions leave out: MOV DR, LTR, SYSRET, SYSEXIT.
 *
 * Follows the Intel SDM volume 2 (each instruction's page) and volume 3, 17.2 (debug registers). They run before the engine's body,
 * whether the instruction was rewritten or not. Leaves out DR4 and DR5 under CR4.DE, which the engine checks. */
#include "cpu/cpu.h"

#include "core/vcpu.h"
#include "engine/engine.h"

#define DR7_GD (1ull << 13)
#define DR6_BD (1ull << 13)
#define DR6_ZERO (1ull << 12)
#define DR7_ZERO 0xd800ull

/* General detect: any access to a debug register is a #DB fault, and the handler may access them. */
void cpu_check_dr(struct vcpu *v, uintptr_t ra)
{
    uint64_t *dr = v->guest->dr;
    if (!(dr[7] & DR7_GD))
        return;
    dr[6] |= DR6_BD;
    dr[7] &= ~DR7_GD;
    engine_raise(v, EXC_DB, 0, ra);
}

uint64_t cpu_check_dr_write(struct vcpu *v, unsigned reg, uint64_t value, uintptr_t ra)
{
    cpu_check_dr(v, ra);
    if (!(v->guest->hflags & HF_CS64))
        value = (uint32_t)value;
    if (reg < 4)
        return value;
    if (value >> 32)
        engine_raise(v, EXC_GP, 0, ra);
    return value & ~(reg == 4 || reg == 6 ? DR6_ZERO : DR7_ZERO);
}

void cpu_check_ltr(struct vcpu *v, uint16_t selector, uintptr_t ra)
{
    if (!(selector & 0xfffc))
        engine_raise(v, EXC_GP, 0, ra);
}

/* Intel faults at CPL 0 where AMD would at the target; and has SYSRET in 64-bit code only. */
void cpu_check_sysret(struct vcpu *v, bool long_mode, uintptr_t ra)
{
    const struct guest *g = v->guest;
    if (!(g->hflags & HF_CS64))
        engine_raise(v, EXC_UD, 0, ra);
    if (g->efer & EFER_SCE && long_mode && !cpu_canonical(g->reg[RCX]))
        engine_raise(v, EXC_GP, 0, ra);
}

void cpu_check_sysexit(struct vcpu *v, bool long_mode, uintptr_t ra)
{
    const struct guest *g = v->guest;
    bool canonical = cpu_canonical(g->reg[RCX]) && cpu_canonical(g->reg[RDX]);
    if (!(g->sysenter_cs & 0xfffc) || (long_mode && !canonical))
        engine_raise(v, EXC_GP, 0, ra);
}
