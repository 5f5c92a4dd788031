/* The guest's SSE arithmetic on the host's: its MXCSR in the host's, and what an instruction leaves behind.
 * See mxcsr.c, sse.c, sse_composite.c. */
#ifndef VMK_ENGINE_SSE_H
#define VMK_ENGINE_SSE_H

#include <emmintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/guest.h"

/* Intel SDM volume 1, section 10.2.3. */
enum mxcsr {
    MXCSR_IE = 1,
    MXCSR_DE = 2,
    MXCSR_ZE = 4,
    MXCSR_OE = 8,
    MXCSR_UE = 16,
    MXCSR_PE = 32,
    MXCSR_FLAGS = 0x3f,
    MXCSR_DAZ = 0x40,
    MXCSR_MASKS = 0x1f80,
    MXCSR_RC = 0x6000,
    MXCSR_FTZ = 0x8000,
    MXCSR_VALID = 0xffff,
};
enum { MXCSR_MASK_SHIFT = 7, MXCSR_RC_SHIFT = 13 };

/* From the first to the second of these the host computes as the guest means to, and its flags are the
 * guest's: the thread's own MXCSR in between is what `sse_enter` returns. */
uint32_t sse_enter(struct guest *g);
void sse_leave(struct guest *g, uint32_t own);

/* Brings guest's `mxcsr` up to date, and the other way round. */
void sse_collect(struct guest *g);
void sse_load(struct guest *g);

/* What can overflow or underflow, and on what elements: the sum of one of each. */
enum sse_operation {
    SSE_OTHER = 0,
    SSE_ADD = 4,
    SSE_SUB = 8,
    SSE_MUL = 12,
    SSE_DIV = 16,
    SSE_NARROW = 20, /* doubles of the second operand to singles */
    SSE_OPERATION = 28,
};
enum sse_elements { ONE_SINGLE, SINGLES, ONE_DOUBLE, DOUBLES, SSE_ELEMENTS = 3 };
static inline unsigned sse_count(unsigned kind)
{
    return kind & 1 ? (kind & 2 ? 2 : 4) : 1;
}

/* An instruction's end while an exception is not masked: `a` and `b` are what it computed `result` from, and
 * `flags` what came without the host. Where it raises, it does not return. */
void sse_raise(struct guest *g, __m128i result, unsigned kind, const void *a, const void *b, unsigned flags,
               uintptr_t ra);
/* The same, then `bytes` of the result go to `to`, which still is the first operand; or the integer is
 * returned. To be tail calls, so that the usual way through a helper needs no stack. */
void sse_raise_or_store(struct guest *g, __m128i result, unsigned kind, void *to, const void *b, size_t bytes,
                        uintptr_t ra);
uint64_t sse_raise_or_return(struct guest *g, uint64_t value, uintptr_t ra);
/* The flags of an operation that overflows or underflows and must not. */
unsigned sse_flags_by_element(unsigned kind, const void *a, const void *b, unsigned unmasked);

static inline bool sse_is_masked(const struct guest *g)
{
    return __builtin_expect((g->mxcsr & MXCSR_MASKS) == MXCSR_MASKS, 1);
}

#define SSE_LOOK(g, result, kind, to, b, bytes)                                                          \
    if (!sse_is_masked(g)) {                                                                             \
        sse_raise_or_store(g, result, kind, to, b, bytes, CALLER);                                       \
        return;                                                                                          \
    }

/* The engine's helper in whose place the linker puts what follows. Those in the section tell the translator
 * that they change none of the registers it keeps in the host's (see translate.c). */
#define SSE_HELPER_WRITING(type, name, ...)                                                              \
    type __wrap_helper_##name##_x86_64(__VA_ARGS__);                                                     \
    type __wrap_helper_##name##_x86_64(__VA_ARGS__)
#define SSE_HELPER(type, name, ...)                                                                      \
    __attribute__((section("sse_helpers"))) type __wrap_helper_##name##_x86_64(__VA_ARGS__);             \
    type __wrap_helper_##name##_x86_64(__VA_ARGS__)

/* As two halves: the engine writes registers so, and a load of the whole would wait for both. */
static inline __m128i sse_whole(const void *at)
{
    __m128i x;
    const uint64_t *half = at;
    asm("movq %1, %0\n\tmovhps %2, %0" : "=&x"(x) : "m"(half[0]), "m"(half[1]));
    return x;
}

static inline __m128i sse_half(const void *at)
{
    return _mm_loadl_epi64(at);
}

static inline void sse_store(void *at, __m128i x)
{
    _mm_storeu_si128(at, x);
}

#endif
