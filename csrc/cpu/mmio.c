/* Guest accesses to physical addresses that the TLB does not map as plain memory: the local APIC of the CPU
 * that asks, chips, ROM being written, and RAM behind a PAM segment whose reads and writes differ. */
#include "core/vm.h"
#include "cpu/cost.h"
#include "cpu/cpu.h"
#include "dev/lapic.h"
#include "io/bus.h"

static struct dev *lapic_at(struct vcpu *v, uint64_t gpa)
{
    struct dev *apic = v->board->irq.lapic[v->id];
    bool here = lapic_enabled(apic) && !lapic_x2apic(apic) && (gpa & ~0xfffull) == lapic_base(apic);
    return here ? apic : NULL;
}

static uint64_t board_read(struct vcpu *v, uint64_t gpa, unsigned size)
{
    struct dev *apic = lapic_at(v, gpa);
    uint64_t value = 0;
    if (apic)
        return lapic_mmio_read(apic, gpa & 0xfff, size);
    if (ram_read(v->board, gpa, &value, size) == VMK_OK)
        return value;
    return bus_mmio_read(v->board, gpa, size);
}

uint64_t cpu_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size)
{
    v->stats.mmio++;
    v->stats.monitor_entries++;
    cost(v, COST_MMIO);
    vm_lock(v);
    uint64_t value = board_read(v, gpa, size);
    vm_unlock(v);
    return value;
}

static void board_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value)
{
    struct dev *apic = lapic_at(v, gpa);
    if (apic)
        lapic_mmio_write(apic, gpa & 0xfff, size, (uint32_t)value);
    else if (ram_write(v->board, gpa, &value, size) != VMK_OK &&
             ram_read_offset(v->board, gpa) == RAM_NOT_MEMORY)
        bus_mmio_write(v->board, gpa, size, value);
}

void cpu_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value)
{
    v->stats.mmio++;
    cost(v, COST_MMIO);
    vm_lock(v);
    board_write(v, gpa, size, value);
    vm_unlock(v);
}
