/* IN, OUT and their string forms: the permission the engine does not check, then the bus.
 *
 * Follows the Intel SDM volume 1, 19.5: above IOPL (and always in virtual-8086 mode) the I/O bitmap of a
 * 32/64-bit TSS decides. */
#include "core/vm.h"
#include "cpu/backdoor.h"
#include "cpu/cost.h"
#include "cpu/cpu.h"
#include "engine/engine.h"
#include "io/bus.h"

#define TSS_IOMAP_BASE 0x66

static bool allowed_by_tss(struct vcpu *v, uint32_t port, unsigned size, uintptr_t ra)
{
    const struct segment *tr = &v->guest->tr;
    unsigned type = tr->flags >> 8 & 15;
    if (!(tr->flags & 1 << 15) || (type & 13) != 9 || tr->limit < TSS_IOMAP_BASE + 1)
        return false;
    uint32_t at = engine_load16_kernel(v, tr->base + TSS_IOMAP_BASE, ra) + (port >> 3);
    if (at + 1 > tr->limit)
        return false;
    uint16_t bits = engine_load16_kernel(v, tr->base + at, ra) >> (port & 7);
    return !(bits & ((1u << size) - 1));
}

static void check_permission(struct vcpu *v, uint32_t port, unsigned size, uintptr_t ra)
{
    const struct guest *g = v->guest;
    bool vm86 = g->rflags & FLAG_VM;
    if (!(g->hflags & HF_PE) || (guest_cpl(g) <= (g->rflags >> 12 & 3) && !vm86))
        return;
    if (!allowed_by_tss(v, port, size, ra))
        engine_raise(v, EXC_GP, 0, ra);
}

uint32_t cpu_port_read(struct vcpu *v, uint32_t port, unsigned size, uintptr_t ra)
{
    port &= 0xffff;
    if (port == BACKDOOR_PORT && backdoor_call(v, size, ra))
        return (uint32_t)v->guest->reg[RAX];
    check_permission(v, port, size, ra);
    v->stats.trap[SBE_CLASS_IO]++;
    cost(v, COST_PORT);
    vm_lock(v);
    uint32_t value = bus_port_read(v->board, (uint16_t)port, size);
    vm_unlock(v);
    return value;
}

void cpu_port_write(struct vcpu *v, uint32_t port, unsigned size, uint32_t value, uintptr_t ra)
{
    port &= 0xffff;
    check_permission(v, port, size, ra);
    v->stats.trap[SBE_CLASS_IO]++;
    cost(v, COST_PORT);
    vm_lock(v);
    bus_port_write(v->board, (uint16_t)port, size, value);
    vm_unlock(v);
}
