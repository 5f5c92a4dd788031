/* SSE and SSE2 arithmetic (Intel SDM volume 2), each instruction by the host's own: the engine's helpers for
 * them, replaced.
 *
 * While the engine runs, the host's MXCSR is in the guest's mode and gathers its flags (mxcsr.c), so value
 * and flags of the host's instruction are the guest's, to NaN payloads and denormals. Written as assembler:
 * a compiler may exchange operands, fold constants and move arithmetic across what sets the mode, none of
 * which leaves the value and the flags as they are. Of an operand in memory the engine has only fetched what
 * the instruction reads, so no more is loaded here. Destinations change last, as an unmasked exception
 * leaves them. Leaves out what hosts may lack, or do each in their own way (sse_composite.c). */
#include "engine/private.h"
#include "engine/sse.h"

/* d = d op s, the whole register. */
#define PACKED(name, instruction, kind)                                                                  \
    SSE_HELPER(void, name, struct guest *g, void *d, const void *s)                                      \
    {                                                                                                    \
        __m128i r = sse_whole(d);                                                                        \
        asm volatile(instruction " %1, %0" : "+x"(r) : "x"(sse_whole(s)));                               \
        SSE_LOOK(g, r, kind, d, s, sizeof(r))                                                            \
        sse_store(d, r);                                                                                 \
    }
/* d = op s; `load` takes what of s the instruction reads. */
#define PACKED_FROM(name, instruction, load, kind)                                                       \
    SSE_HELPER(void, name, struct guest *g, void *d, const void *s)                                      \
    {                                                                                                    \
        __m128i r;                                                                                       \
        asm volatile(instruction " %1, %0" : "=x"(r) : "x"(load(s)));                                    \
        SSE_LOOK(g, r, kind, d, s, sizeof(r))                                                            \
        sse_store(d, r);                                                                                 \
    }
/* The lowest element, the others stay; d = d op s or op s. Through a general register: hosts forward a store
 * to the next load sooner there, and that is how a chain of instructions passes its numbers on. */
#define SCALAR(name, instruction, from, to, move, kind)                                                  \
    SSE_HELPER(void, name, struct guest *g, void *d, const void *s)                                      \
    {                                                                                                    \
        __m128i r;                                                                                       \
        to bits = *(const to *)d;                                                                        \
        asm volatile(move " %1, %0\n\t" instruction " %2, %0"                                            \
                     : "=&x"(r)                                                                          \
                     : "r"(bits), "m"(*(const from *)s));                                                \
        SSE_LOOK(g, r, kind, d, s, sizeof(bits))                                                         \
        asm volatile(move " %1, %0" : "=r"(bits) : "x"(r));                                              \
        *(to *)d = bits;                                                                                 \
    }

#define IN_ALL_FORMATS(name, kind)                                                                       \
    PACKED(name##ps, #name "ps", kind + SINGLES)                                                         \
    PACKED(name##pd, #name "pd", kind + DOUBLES)                                                         \
    SCALAR(name##ss, #name "ss", uint32_t, uint32_t, "movd", kind + ONE_SINGLE)                          \
    SCALAR(name##sd, #name "sd", uint64_t, uint64_t, "movq", kind + ONE_DOUBLE)
IN_ALL_FORMATS(add, SSE_ADD)
IN_ALL_FORMATS(sub, SSE_SUB)
IN_ALL_FORMATS(mul, SSE_MUL)
IN_ALL_FORMATS(div, SSE_DIV)
IN_ALL_FORMATS(sqrt, SSE_OTHER)
IN_ALL_FORMATS(min, SSE_OTHER)
IN_ALL_FORMATS(max, SSE_OTHER)
IN_ALL_FORMATS(cmpeq, SSE_OTHER)
IN_ALL_FORMATS(cmplt, SSE_OTHER)
IN_ALL_FORMATS(cmple, SSE_OTHER)
IN_ALL_FORMATS(cmpunord, SSE_OTHER)
IN_ALL_FORMATS(cmpneq, SSE_OTHER)
IN_ALL_FORMATS(cmpnlt, SSE_OTHER)
IN_ALL_FORMATS(cmpnle, SSE_OTHER)
IN_ALL_FORMATS(cmpord, SSE_OTHER)

PACKED_FROM(cvtps2pd, "cvtps2pd", sse_half, SSE_OTHER)
PACKED_FROM(cvtpd2ps, "cvtpd2ps", sse_whole, SSE_NARROW + DOUBLES)
PACKED_FROM(cvtdq2ps, "cvtdq2ps", sse_whole, SSE_OTHER)
PACKED_FROM(cvtdq2pd, "cvtdq2pd", sse_half, SSE_OTHER)
PACKED_FROM(cvtps2dq, "cvtps2dq", sse_whole, SSE_OTHER)
PACKED_FROM(cvttps2dq, "cvttps2dq", sse_whole, SSE_OTHER)
PACKED_FROM(cvtpd2dq, "cvtpd2dq", sse_whole, SSE_OTHER)
PACKED_FROM(cvttpd2dq, "cvttpd2dq", sse_whole, SSE_OTHER)
PACKED_FROM(cvtpi2pd, "cvtdq2pd", sse_half, SSE_OTHER)
SCALAR(cvtss2sd, "cvtss2sd", uint32_t, uint64_t, "movq", SSE_OTHER)
SCALAR(cvtsd2ss, "cvtsd2ss", uint64_t, uint32_t, "movd", SSE_NARROW + ONE_DOUBLE)

/* Between MMX and SSE registers: two elements, of which the other two as zeros raise nothing. Not by the
 * host's own MMX forms, which would switch its x87. */
#define WITH_HALF(name, instruction, load)                                                               \
    SSE_HELPER(void, name, struct guest *g, void *d, const void *s)                                      \
    {                                                                                                    \
        __m128i r;                                                                                       \
        asm volatile(instruction " %1, %0" : "=x"(r) : "x"(load(s)));                                    \
        SSE_LOOK(g, r, SSE_OTHER, d, s, sizeof(r) / 2)                                                   \
        _mm_storel_epi64(d, r);                                                                          \
    }
WITH_HALF(cvtpi2ps, "cvtdq2ps", sse_half)
WITH_HALF(cvtps2pi, "cvtps2dq", sse_half)
WITH_HALF(cvttps2pi, "cvttps2dq", sse_half)
WITH_HALF(cvtpd2pi, "cvtpd2dq", sse_whole)
WITH_HALF(cvttpd2pi, "cvttpd2dq", sse_whole)

#define FROM_GENERAL(name, instruction, integer, to, move)                                               \
    SSE_HELPER(void, name, struct guest *g, void *d, integer value)                                      \
    {                                                                                                    \
        __m128i r = _mm_setzero_si128();                                                                 \
        asm volatile(instruction " %1, %0" : "+x"(r) : "r"(value));                                      \
        SSE_LOOK(g, r, SSE_OTHER, d, d, sizeof(to))                                                      \
        asm volatile(move " %1, %0" : "=m"(*(to *)d) : "x"(r));                                          \
    }
FROM_GENERAL(cvtsi2ss, "cvtsi2ssl", uint32_t, float, "movss")
FROM_GENERAL(cvtsi2sd, "cvtsi2sdl", uint32_t, double, "movsd")
FROM_GENERAL(cvtsq2ss, "cvtsi2ssq", uint64_t, float, "movss")
FROM_GENERAL(cvtsq2sd, "cvtsi2sdq", uint64_t, double, "movsd")

#define TO_GENERAL(name, instruction, from, integer)                                                     \
    SSE_HELPER(integer, name, struct guest *g, const void *s)                                            \
    {                                                                                                    \
        integer value;                                                                                   \
        asm volatile(instruction " %1, %0" : "=r"(value) : "m"(*(const from *)s));                       \
        if (!sse_is_masked(g))                                                                           \
            return (integer)sse_raise_or_return(g, (uint64_t)value, CALLER);                             \
        return value;                                                                                    \
    }
TO_GENERAL(cvtss2si, "cvtss2si", float, int32_t)
TO_GENERAL(cvtsd2si, "cvtsd2si", double, int32_t)
TO_GENERAL(cvtss2sq, "cvtss2si", float, int64_t)
TO_GENERAL(cvtsd2sq, "cvtsd2si", double, int64_t)
TO_GENERAL(cvttss2si, "cvttss2si", float, int32_t)
TO_GENERAL(cvttsd2si, "cvttsd2si", double, int32_t)
TO_GENERAL(cvttss2sq, "cvttss2si", float, int64_t)
TO_GENERAL(cvttsd2sq, "cvttsd2si", double, int64_t)

/* The translator takes the flags from `cc_src`, where RFLAGS has them; all others become 0. */
#define TO_FLAGS(name, from, move)                                                                       \
    SSE_HELPER_WRITING(void, name, struct guest *g, const void *d, const void *s)                        \
    {                                                                                                    \
        bool carry, parity, zero;                                                                        \
        __m128i r;                                                                                       \
        asm volatile(move " %4, %3\n\t" #name " %5, %3"                                                  \
                     : "=@ccc"(carry), "=@ccp"(parity), "=@ccz"(zero), "=&x"(r)                          \
                     : "m"(*(const from *)d), "m"(*(const from *)s));                                    \
        if (!sse_is_masked(g))                                                                           \
            sse_raise(g, r, SSE_OTHER, d, s, 0, CALLER);                                                 \
        g->cc_src = (uint64_t)carry | (uint64_t)parity << 2 | (uint64_t)zero << 6;                       \
    }
TO_FLAGS(ucomiss, float, "movss")
TO_FLAGS(comiss, float, "movss")
TO_FLAGS(ucomisd, double, "movsd")
TO_FLAGS(comisd, double, "movsd")
