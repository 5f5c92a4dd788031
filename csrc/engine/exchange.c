/* XCHG with memory, where CPUs have threads.
 *
 * The engine's helper for an atomic exchange is a load and a store; all its other atomic helpers are what
 * they say. An exchange is a compare-and-swap that is tried until it finds what it expected: here the first
 * guess is what most locks hold. */
#include "engine/private.h"

#define EXCHANGE(suffix, type, cmpxchg)                                                                  \
    type cmpxchg(struct guest *env, uint64_t va, type old, type value, uint32_t oi, uintptr_t ra);       \
    type __wrap_helper_atomic_xchg##suffix##_x86_64(struct guest *env, uint64_t va, type value, uint32_t oi); \
    type __wrap_helper_atomic_xchg##suffix##_x86_64(struct guest *env, uint64_t va, type value, uint32_t oi)  \
    {                                                                                                    \
        type expected = 0, found;                                                                        \
        while ((found = cmpxchg(env, va, expected, value, oi, CALLER)) != expected)                      \
            expected = found;                                                                            \
        return found;                                                                                    \
    }

EXCHANGE(b, uint32_t, helper_atomic_cmpxchgb_mmu_x86_64)
EXCHANGE(w_le, uint32_t, helper_atomic_cmpxchgw_le_mmu_x86_64)
EXCHANGE(l_le, uint32_t, helper_atomic_cmpxchgl_le_mmu_x86_64)
EXCHANGE(q_le, uint64_t, helper_atomic_cmpxchgq_le_mmu_x86_64)
