/* The guest's MXCSR, kept in the host's while the engine runs.
 *
 * Rounding, DAZ, FTZ and the sticky flags are then the host's own, at no cost per instruction (Intel SDM
 * volume 1, sections 10.2.3, 11.5 and 11.6): guest's MXCSR is `mxcsr` in its register file, plus the flags
 * the host has gathered since. They are brought together where somebody looks: STMXCSR, FXSAVE, XSAVE, the
 * end of a run. In the host every exception stays masked. While the guest has one unmasked, each
 * instruction's flags are looked at when it is done and its result dropped where one must be raised
 * (sse_raise). Leaves out who looks (mxcsr_insn.c), what computes (sse.c, sse_composite.c). */
#include <string.h>

#include "engine/engine.h"
#include "engine/private.h"
#include "engine/sse.h"

/* A result that may not be flushed is needed whole: FTZ has no effect while underflow is not masked. */
static uint32_t host_mode(uint32_t mxcsr)
{
    uint32_t mode = mxcsr & (MXCSR_RC | MXCSR_DAZ);
    if (mxcsr & MXCSR_UE << MXCSR_MASK_SHIFT)
        mode |= mxcsr & MXCSR_FTZ;
    return mode | MXCSR_MASKS;
}

void sse_load(struct guest *g)
{
    _mm_setcsr(host_mode(g->mxcsr));
}

void sse_collect(struct guest *g)
{
    g->mxcsr |= _mm_getcsr() & MXCSR_FLAGS;
}

uint32_t sse_enter(struct guest *g)
{
    uint32_t own = _mm_getcsr();
    sse_load(g);
    return own;
}

void sse_leave(struct guest *g, uint32_t own)
{
    sse_collect(g);
    _mm_setcsr(own);
}

static bool any_denormal(__m128i x, unsigned kind)
{
    uint32_t s[4];
    uint64_t d[2];
    bool found = false, doubles = kind & 2 && (kind & SSE_OPERATION) != SSE_NARROW;
    memcpy(s, &x, sizeof(s));
    memcpy(d, &x, sizeof(d));
    for (unsigned i = 0; i < sse_count(kind); i++)
        found |= doubles ? d[i] << 1 && !(d[i] << 1 >> 53) : s[i] << 1 && !(s[i] << 1 >> 24);
    return found;
}

/* Section 11.5.2: exceptions of the operands come before the operation, so none of its result is reported
 * with them; underflow that is not masked needs no loss of accuracy. */
void sse_raise(struct guest *g, __m128i result, unsigned kind, const void *a, const void *b, unsigned flags,
               uintptr_t ra)
{
    const unsigned before = MXCSR_IE | MXCSR_DE | MXCSR_ZE, range = MXCSR_OE | MXCSR_UE;
    unsigned unmasked = ~(g->mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS;
    flags |= _mm_getcsr() & MXCSR_FLAGS;
    sse_load(g);
    if (unmasked & MXCSR_UE && kind & SSE_OPERATION && any_denormal(result, kind))
        flags |= MXCSR_UE;
    if (flags & unmasked & before)
        flags &= before;
    else if (flags & unmasked & range)
        flags = sse_flags_by_element(kind, a, b, unmasked & range);
    g->mxcsr |= flags;
    sse_load(g);
    if (flags & unmasked)
        engine_raise(UC_OWNER(g->uc), g->cr[4] & CR4_OSXMMEXCPT ? EXC_XF : EXC_UD, 0, ra);
}

void sse_raise_or_store(struct guest *g, __m128i result, unsigned kind, void *to, const void *b, size_t bytes,
                        uintptr_t ra)
{
    sse_raise(g, result, kind, to, b, 0, ra);
    memcpy(to, &result, bytes);
}

uint64_t sse_raise_or_return(struct guest *g, uint64_t value, uintptr_t ra)
{
    sse_raise(g, _mm_setzero_si128(), SSE_OTHER, NULL, NULL, 0, ra);
    return value;
}
