/* The guest's time stamp counter: VM time in nanoseconds (1 GHz) plus what the guest wrote. RDPMC, which has
 * no counters, and the random numbers of RDRAND, which must be the same in every run. */
#include "core/vcpu.h"
#include "cpu/cpu.h"
#include "engine/engine.h"

uint64_t cpu_tsc(struct vcpu *v)
{
    return board_now(v->board) + (uint64_t)v->tsc_offset;
}

static void read_tsc(struct vcpu *v, uintptr_t ra)
{
    if (v->guest->cr[4] & CR4_TSD && guest_cpl(v->guest))
        engine_raise(v, EXC_GP, 0, ra);
    uint64_t tsc = cpu_tsc(v);
    v->stats.trap[SBE_CLASS_RDTSC]++;
    v->guest->reg[RAX] = (uint32_t)tsc;
    v->guest->reg[RDX] = tsc >> 32;
}

void cpu_rdtsc(struct vcpu *v, uintptr_t ra)
{
    read_tsc(v, ra);
}

void cpu_rdtscp(struct vcpu *v, uintptr_t ra)
{
    read_tsc(v, ra);
    v->guest->reg[RCX] = (uint32_t)v->guest->tsc_aux;
}

void cpu_rdpmc(struct vcpu *v, uintptr_t ra)
{
    v->stats.trap[SBE_CLASS_RDPMC]++;
    engine_raise(v, EXC_GP, 0, ra);
}

/* Only guests that ignore CPUID get here; xorshift64* of a per-vCPU seed. */
uint64_t cpu_rdrand(struct vcpu *v)
{
    uint64_t x = v->random ? v->random : 0x9e3779b97f4a7c15ull + v->id;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    v->random = x;
    v->stats.trap[SBE_CLASS_RANDOM]++;
    return x * 0x2545f4914f6cdd1dull;
}
