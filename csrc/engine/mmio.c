/* Guest accesses to what is not plain memory: from the engine's slow path to the monitor.
 *
 * The engine's own dispatch checks each access against the region's rules, walks to its callback and puts
 * the pieces together. There is one region here and its rules are known, so an aligned access goes straight
 * to the monitor; eight bytes are two accesses of four, as the engine makes of them. Leaves out what an
 * access does (cpu/mmio.c). */
#include "engine/mmio.h"

#include "core/vcpu.h"
#include "cpu/cpu.h"

uint64_t mmio_read(uc_engine *uc, uint64_t gpa, unsigned size, void *user)
{
    (void)uc;
    return cpu_mmio_read(user, gpa, size);
}

void mmio_write(uc_engine *uc, uint64_t gpa, unsigned size, uint64_t value, void *user)
{
    (void)uc;
    cpu_mmio_write(user, gpa, size, value);
}

/* `op` is the size's logarithm; any other bit asks for something we leave to the engine. */
static bool is_plain(const struct vcpu *v, const void *region, uint64_t gpa, unsigned op)
{
    return region == v->mmio_region && op <= 3 && !(gpa & ((1u << op) - 1));
}

#define DISPATCH_READ(name)                                                                                \
    uint32_t __real_##name(uc_engine *uc, void *region, uint64_t gpa, uint64_t *value, unsigned op,        \
                           uint32_t attributes);                                                           \
    uint32_t __wrap_##name(uc_engine *uc, void *region, uint64_t gpa, uint64_t *value, unsigned op,        \
                           uint32_t attributes)
DISPATCH_READ(memory_region_dispatch_read_x86_64);
DISPATCH_READ(memory_region_dispatch_read_x86_64)
{
    struct vcpu *v = UC_OWNER(uc);
    if (!is_plain(v, region, gpa, op))
        return __real_memory_region_dispatch_read_x86_64(uc, region, gpa, value, op, attributes);
    *value = cpu_mmio_read(v, gpa, op == 3 ? 4 : 1u << op);
    if (op == 3)
        *value |= cpu_mmio_read(v, gpa + 4, 4) << 32;
    return 0;
}

#define DISPATCH_WRITE(name)                                                                               \
    uint32_t __real_##name(uc_engine *uc, void *region, uint64_t gpa, uint64_t value, unsigned op,         \
                           uint32_t attributes);                                                           \
    uint32_t __wrap_##name(uc_engine *uc, void *region, uint64_t gpa, uint64_t value, unsigned op,         \
                           uint32_t attributes)
DISPATCH_WRITE(memory_region_dispatch_write_x86_64);
DISPATCH_WRITE(memory_region_dispatch_write_x86_64)
{
    struct vcpu *v = UC_OWNER(uc);
    if (!is_plain(v, region, gpa, op))
        return __real_memory_region_dispatch_write_x86_64(uc, region, gpa, value, op, attributes);
    cpu_mmio_write(v, gpa, op == 3 ? 4 : 1u << op, op == 3 ? (uint32_t)value : value);
    if (op == 3)
        cpu_mmio_write(v, gpa + 4, 4, value >> 32);
    return 0;
}
