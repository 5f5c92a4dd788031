/* Loads and stores that the engine's own bodies of instructions make: descriptors, the TSS, the frames of
 * exceptions, XSAVE areas.
 *
 * The engine takes its general slow path for each, with its checks for hooks and device memory; a page fault
 * with its IRET makes about twenty. Here a hit in the TLB is a look at one entry; everything else (a miss, a
 * device, a page that holds code, an access that crosses a page) goes the old way. */
#include <string.h>

#include "core/vcpu.h"
#include "engine/private.h"
#include "engine/tlb.h"
#include "mem/ram.h"

/* An entry's comparator has flags below the page number wherever a plain access will not do. */
static bool fits(uint64_t comparator, uint64_t va, unsigned size)
{
    return comparator == (va & ~(PAGE_SIZE - 1)) && (va & (PAGE_SIZE - 1)) <= PAGE_SIZE - size;
}

#define LOAD(name, type, loaded) \
    type __real_cpu_##name##_mmuidx_ra_x86_64(struct guest *, uint64_t, int, uintptr_t); \
    type __wrap_cpu_##name##_mmuidx_ra_x86_64(struct guest *, uint64_t, int, uintptr_t); \
    type __wrap_cpu_##name##_data_ra_x86_64(struct guest *, uint64_t, uintptr_t); \
    type __wrap_cpu_##name##_mmuidx_ra_x86_64(struct guest *g, uint64_t va, int mode, uintptr_t ra) \
    { \
        const struct tlb_entry *e = tlb_entry_in(g, va, mode); \
        loaded value; \
        if (!fits(e->read, va, sizeof(value))) \
            return __real_cpu_##name##_mmuidx_ra_x86_64(g, va, mode, ra); \
        memcpy(&value, (const void *)(va + e->addend), sizeof(value)); \
        return value; \
    } \
    type __wrap_cpu_##name##_data_ra_x86_64(struct guest *g, uint64_t va, uintptr_t ra) \
    { \
        return __wrap_cpu_##name##_mmuidx_ra_x86_64(g, va, (int)tlb_mode(g), ra); \
    }
LOAD(ldub, uint32_t, uint8_t)
LOAD(lduw, uint32_t, uint16_t)
LOAD(ldl, uint32_t, uint32_t)
LOAD(ldq, uint64_t, uint64_t)

#define STORE(name, type, stored) \
    void __real_cpu_##name##_mmuidx_ra_x86_64(struct guest *, uint64_t, type, int, uintptr_t); \
    void __wrap_cpu_##name##_mmuidx_ra_x86_64(struct guest *, uint64_t, type, int, uintptr_t); \
    void __wrap_cpu_##name##_data_ra_x86_64(struct guest *, uint64_t, type, uintptr_t); \
    void __wrap_cpu_##name##_mmuidx_ra_x86_64(struct guest *g, uint64_t va, type value, int mode, \
                                              uintptr_t ra) \
    { \
        const struct tlb_entry *e = tlb_entry_in(g, va, mode); \
        stored bytes = (stored)value; \
        if (!fits(e->write, va, sizeof(bytes))) \
            __real_cpu_##name##_mmuidx_ra_x86_64(g, va, value, mode, ra); \
        else \
            memcpy((void *)(va + e->addend), &bytes, sizeof(bytes)); \
    } \
    void __wrap_cpu_##name##_data_ra_x86_64(struct guest *g, uint64_t va, type value, uintptr_t ra) \
    { \
        __wrap_cpu_##name##_mmuidx_ra_x86_64(g, va, value, (int)tlb_mode(g), ra); \
    }
STORE(stb, uint32_t, uint8_t)
STORE(stw, uint32_t, uint16_t)
STORE(stl, uint32_t, uint32_t)
STORE(stq, uint64_t, uint64_t)
