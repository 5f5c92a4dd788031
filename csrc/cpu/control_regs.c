/* Control registers: the checks the engine leaves out, then its own side effects.
 *
 * Follows the Intel SDM volume 3, 2.5 and the MOV-to-CR pages of volume 2: reserved bits, impossible
 * combinations and long-mode rules are #GP(0). CR8 is the local APIC's task priority. */
#include "core/vm.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "dev/lapic.h"
#include "engine/engine.h"

#define CR0_DEFINED                                                                                          \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |               \
     (uint64_t)CR0_PG)

uint64_t cpu_read_cr(struct vcpu *v, unsigned reg)
{
    v->stats.trap[SBE_CLASS_CR]++;
    if (reg == 8)
        return lapic_get_tpr(v->board->irq.lapic[v->id]);
    return v->guest->cr[reg <= 4 ? reg : 0];
}

static bool cr0_ok(const struct guest *g, uint64_t value)
{
    if (value >> 32 || (value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
        return false;
    if (!(g->cr[0] & CR0_PG) && value & CR0_PG && g->efer & EFER_LME)
        return g->cr[4] & CR4_PAE && !(g->seg[SEG_CS].flags & 1 << 21);
    /* 64-bit code cannot switch paging off under its own feet. */
    return !(g->cr[0] & CR0_PG && !(value & CR0_PG) && g->hflags & HF_CS64);
}

static bool cr4_ok(const struct vcpu *v, uint64_t value)
{
    const struct guest *g = v->guest;
    if (value & ~cpuid_cr4_bits(v))
        return false;
    return !(g->hflags & HF_LMA && !(value & CR4_PAE));
}

/* In long mode CR3 has 40 physical bits here; reserved ones are #GP. Legacy modes take 32 bits. */
static bool cr3_ok(const struct guest *g, uint64_t value)
{
    return !(g->hflags & HF_LMA) || !(value >> 40);
}

static void set_tpr(struct vcpu *v, unsigned value)
{
    vm_lock(v);
    lapic_set_tpr(v->board->irq.lapic[v->id], value);
    vm_unlock(v);
}

void cpu_write_cr(struct vcpu *v, unsigned reg, uint64_t value, uintptr_t ra)
{
    struct guest *g = v->guest;
    bool ok = true;
    v->stats.trap[SBE_CLASS_CR]++;
    if (!(g->hflags & HF_CS64)) /* the register's upper half may hold anything */
        value = (uint32_t)value;
    switch (reg) {
    case 0:
        if ((ok = cr0_ok(g, value)))
            engine_set_cr0(v, (value & CR0_DEFINED) | CR0_ET);
        break;
    case 2:
        g->cr[2] = value;
        break;
    case 3:
        if ((ok = cr3_ok(g, value)))
            engine_set_cr3(v, value);
        break;
    case 4:
        if ((ok = cr4_ok(v, value)))
            engine_set_cr4(v, value);
        break;
    case 8:
        if ((ok = !(value & ~15ull)))
            set_tpr(v, (unsigned)value);
        break;
    }
    if (!ok)
        engine_raise(v, EXC_GP, 0, ra);
}
