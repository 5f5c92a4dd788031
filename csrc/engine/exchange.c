/* XCHG with memory, where CPUs have threads.
 *
 * The engine's helper for an atomic exchange is a load and a store; all its other atomic helpers are what
 * they say. An exchange is a compare-and-swap that is tried until it finds what it expected: here the first
 * guess is what most locks hold. */
#include "engine/private.h"

#define EXCHANGE(name, type, cmpxchg)                                                              \
    type cmpxchg(struct guest *env, uint64_t va, type old, type value, uint32_t oi, uintptr_t ra);  \
    type __wrap_##name(struct guest *env, uint64_t va, type value, uint32_t oi);                    \
    type __wrap_##name(struct guest *env, uint64_t va, type value, uint32_t oi)                     \
    {                                                                                               \
        type expected = 0, found;                                                                   \
        while ((found = cmpxchg(env, va, expected, value, oi, CALLER)) != expected)                 \
            expected = found;                                                                       \
        return found;                                                                               \
    }

EXCHANGE(helper_atomic_xchgb_x86_64, uint32_t, helper_atomic_cmpxchgb_mmu_x86_64)
EXCHANGE(helper_atomic_xchgw_le_x86_64, uint32_t, helper_atomic_cmpxchgw_le_mmu_x86_64)
EXCHANGE(helper_atomic_xchgl_le_x86_64, uint32_t, helper_atomic_cmpxchgl_le_mmu_x86_64)
EXCHANGE(helper_atomic_xchgq_le_x86_64, uint64_t, helper_atomic_cmpxchgq_le_mmu_x86_64)
