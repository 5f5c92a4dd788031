/* SSE3 and SSE4.1 arithmetic, which a host need not have, and the approximations, which hosts compute each
 * in their own way: made of SSE2 instructions, so that a guest's state is the same on every host.
 *
 * Follows the Intel SDM, volume 2: HADDPS, HADDPD, HSUBPS, HSUBPD, ADDSUBPS, ADDSUBPD, DPPS, DPPD, ROUNDPS
 * and its kin, RCPPS, RCPSS, RSQRTPS, RSQRTSS. See sse.c for how and why of what is here. */
#include <string.h>

#include "engine/private.h"
#include "engine/sse.h"

/* One host instruction, in this order of operands and at this place. */
#define BINARY(name, instruction)                                                                        \
    static inline __m128i name(__m128i a, __m128i b)                                                     \
    {                                                                                                    \
        asm volatile(instruction " %1, %0" : "+x"(a) : "x"(b));                                          \
        return a;                                                                                        \
    }
BINARY(add_ps, "addps")
BINARY(add_pd, "addpd")
BINARY(sub_ps, "subps")
BINARY(sub_pd, "subpd")
BINARY(mul_ps, "mulps")
BINARY(mul_pd, "mulpd")
BINARY(div_ps, "divps")
BINARY(sqrt_ps, "sqrtps")

/* The elements of one parity from two registers. */
static inline __m128i even_ps(__m128i a, __m128i b)
{
    __m128 x = _mm_castsi128_ps(a), y = _mm_castsi128_ps(b);
    return _mm_castps_si128(_mm_shuffle_ps(x, y, _MM_SHUFFLE(2, 0, 2, 0)));
}
static inline __m128i odd_ps(__m128i a, __m128i b)
{
    __m128 x = _mm_castsi128_ps(a), y = _mm_castsi128_ps(b);
    return _mm_castps_si128(_mm_shuffle_ps(x, y, _MM_SHUFFLE(3, 1, 3, 1)));
}
static inline __m128i even_pd(__m128i a, __m128i b)
{
    return _mm_unpacklo_epi64(a, b);
}
static inline __m128i odd_pd(__m128i a, __m128i b)
{
    return _mm_unpackhi_epi64(a, b);
}

#define HORIZONTAL(name, op, format, kind)                                                               \
    SSE_HELPER(void, name##format, struct guest *g, void *d, const void *s)                              \
    {                                                                                                    \
        __m128i x = sse_whole(d), y = sse_whole(s);                                                      \
        const __m128i a = even_##format(x, y), b = odd_##format(x, y), r = op##_##format(a, b);          \
        if (!sse_is_masked(g))                                                                           \
            sse_raise(g, r, kind, &a, &b, 0, CALLER);                                                    \
        sse_store(d, r);                                                                                 \
    }
HORIZONTAL(hadd, add, ps, SSE_ADD + SINGLES)
HORIZONTAL(hadd, add, pd, SSE_ADD + DOUBLES)
HORIZONTAL(hsub, sub, ps, SSE_SUB + SINGLES)
HORIZONTAL(hsub, sub, pd, SSE_SUB + DOUBLES)

/* Both operations, each on zeros in place of what is not its own: zeros raise nothing. As far as exceptions
 * go, a difference is the sum with the other sign. */
#define ADD_AND_SUBTRACT(format, even, signs, kind)                                                      \
    SSE_HELPER(void, addsub##format, struct guest *g, void *d, const void *s)                            \
    {                                                                                                    \
        const __m128i lower = even, a = sse_whole(d), b = sse_whole(s);                                  \
        __m128i x = sub_##format(_mm_and_si128(lower, a), _mm_and_si128(lower, b));                      \
        __m128i y = add_##format(_mm_andnot_si128(lower, a), _mm_andnot_si128(lower, b));                \
        __m128i r = _mm_or_si128(_mm_and_si128(lower, x), _mm_andnot_si128(lower, y));                   \
        if (!sse_is_masked(g)) {                                                                         \
            const __m128i term = _mm_xor_si128(b, signs);                                                \
            sse_raise(g, r, kind, &a, &term, 0, CALLER);                                                 \
        }                                                                                                \
        sse_store(d, r);                                                                                 \
    }
ADD_AND_SUBTRACT(ps, _mm_set_epi32(0, -1, 0, -1), _mm_set_epi32(0, INT32_MIN, 0, INT32_MIN),
                 SSE_ADD + SINGLES)
ADD_AND_SUBTRACT(pd, _mm_set_epi32(0, 0, -1, -1), _mm_set_epi32(0, 0, INT32_MIN, 0), SSE_ADD + DOUBLES)

/* All ones in the elements whose bits are set. */
static inline __m128i select_ps(unsigned bits)
{
    __m128i bit = _mm_set_epi32(8, 4, 2, 1);
    return _mm_cmpeq_epi32(_mm_and_si128(_mm_set1_epi32((int)bits), bit), bit);
}
static inline __m128i select_pd(unsigned bits)
{
    int low = -(int)(bits & 1), high = -(int)(bits >> 1 & 1);
    return _mm_set_epi32(high, high, low, low);
}

static __m128i dot_products(struct guest *g, const void *d, const void *s, __m128i taken, bool wide,
                            uintptr_t ra)
{
    const __m128i a = _mm_and_si128(sse_whole(d), taken), b = _mm_and_si128(sse_whole(s), taken);
    const __m128i r = wide ? mul_pd(a, b) : mul_ps(a, b);
    if (!sse_is_masked(g))
        sse_raise(g, r, SSE_MUL + (wide ? DOUBLES : SINGLES), &a, &b, 0, ra);
    return r;
}

/* In each pair of elements the pair's sum. */
static __m128i sums_ps(struct guest *g, __m128i x, uintptr_t ra)
{
    const __m128i a = even_ps(x, x), b = odd_ps(x, x), r = add_ps(a, b);
    if (!sse_is_masked(g))
        sse_raise(g, r, SSE_ADD + SINGLES, &a, &b, 0, ra);
    return r;
}
static __m128i sums_pd(struct guest *g, __m128i x, uintptr_t ra)
{
    const __m128i a = even_pd(x, x), b = odd_pd(x, x), r = add_pd(a, b);
    if (!sse_is_masked(g))
        sse_raise(g, r, SSE_ADD + DOUBLES, &a, &b, 0, ra);
    return r;
}

/* Exceptions of the products come before the sums. */
SSE_HELPER(void, dpps_xmm, struct guest *g, void *d, const void *s, uint32_t control)
{
    __m128i products = dot_products(g, d, s, select_ps(control >> 4), false, CALLER);
    __m128i sum = sums_ps(g, sums_ps(g, products, CALLER), CALLER);
    sse_store(d, _mm_and_si128(sum, select_ps(control)));
}

SSE_HELPER(void, dppd_xmm, struct guest *g, void *d, const void *s, uint32_t control)
{
    __m128i products = dot_products(g, d, s, select_pd(control >> 4), true, CALLER);
    sse_store(d, _mm_and_si128(sums_pd(g, products, CALLER), select_pd(control)));
}

/* Rounding to an integer is done on the bits: a float's fraction below the point is the low bits of its
 * pattern, and adding at the point carries into the exponent as it should. */
struct format {
    unsigned bits, fraction;
};
static const struct format single_format = {32, 23}, double_format = {64, 52};
enum { ROUND_NEAREST, ROUND_DOWN, ROUND_UP, ROUND_TO_ZERO };
enum { CONTROL_MXCSR = 4, CONTROL_EXACT = 8 }; /* take MXCSR's rounding; raise no inexact */

/* Whether the magnitude goes up to the next integer. `rest` against `half`: what is cut off. */
static bool goes_up(unsigned mode, bool negative, bool odd, uint64_t rest, uint64_t half)
{
    if (mode == ROUND_NEAREST)
        return rest > half || (rest == half && odd);
    return rest && mode == (negative ? ROUND_DOWN : ROUND_UP);
}

/* Below 1 in magnitude: 0 or 1. `one` is 1's pattern. */
static uint64_t round_small(struct format f, uint64_t magnitude, bool negative, unsigned mode, uint64_t one)
{
    uint64_t half = one - (UINT64_C(1) << f.fraction);
    return goes_up(mode, negative, false, magnitude, half) ? one : 0;
}

static uint64_t round_bits(struct format f, uint64_t x, uint32_t mxcsr, unsigned mode, unsigned *flags)
{
    const uint64_t sign = x & UINT64_C(1) << (f.bits - 1), unit = UINT64_C(1) << f.fraction;
    const uint64_t infinity = (UINT64_C(1) << (f.bits - 1)) - unit, quiet = unit >> 1;
    const unsigned bias = (1u << (f.bits - 2 - f.fraction)) - 1;
    uint64_t magnitude = x ^ sign, r;
    if (magnitude > infinity) {
        *flags |= x & quiet ? 0 : MXCSR_IE;
        return x | quiet;
    }
    if (magnitude < unit && mxcsr & MXCSR_DAZ)
        return sign;
    unsigned exponent = (unsigned)(magnitude >> f.fraction);
    if (exponent >= bias + f.fraction)
        return x;
    if (exponent < bias) {
        r = round_small(f, magnitude, sign, mode, (uint64_t)bias << f.fraction);
    } else {
        uint64_t point = UINT64_C(1) << (bias + f.fraction - exponent), rest = magnitude & (point - 1);
        r = magnitude - rest;
        /* Above the fraction is the leading one, which makes 1 itself odd: bias is odd, too. */
        if (goes_up(mode, sign, r & point, rest, point >> 1))
            r += point;
    }
    *flags |= r != magnitude ? MXCSR_PE : 0;
    return r | sign;
}

static unsigned round_elements(struct format f, unsigned count, void *to, const void *from, uint32_t mxcsr,
                               unsigned control)
{
    unsigned mode = control & CONTROL_MXCSR ? (mxcsr & MXCSR_RC) >> MXCSR_RC_SHIFT : control & 3, flags = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t x = 0;
        memcpy(&x, (const char *)from + i * f.bits / 8, f.bits / 8);
        x = round_bits(f, x, mxcsr, mode, &flags);
        memcpy((char *)to + i * f.bits / 8, &x, f.bits / 8);
    }
    return control & CONTROL_EXACT ? flags & ~(unsigned)MXCSR_PE : flags;
}

/* No result is a denormal number. */
#define ROUND(name, format, count)                                                                       \
    SSE_HELPER(void, name##_xmm, struct guest *g, void *d, const void *s, uint32_t control)              \
    {                                                                                                    \
        uint64_t r[2];                                                                                   \
        unsigned flags = round_elements(format, count, r, s, g->mxcsr, control);                         \
        if (flags)                                                                                       \
            sse_raise(g, _mm_setzero_si128(), SSE_OTHER, d, s, flags, CALLER);                           \
        memcpy(d, r, count * format.bits / 8);                                                           \
    }
ROUND(roundps, single_format, 4)
ROUND(roundpd, double_format, 2)
ROUND(roundss, single_format, 1)
ROUND(roundsd, double_format, 1)

/* 1/x, but zero beyond where it must be taken for tiny. */
static inline __m128i reciprocal(__m128i x)
{
    const __m128i all_but_sign = _mm_set1_epi32(INT32_MAX), magnitude = _mm_and_si128(x, all_but_sign);
    __m128i large = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7e7fe800));
    __m128i nan = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7f800000));
    __m128i flushed = _mm_and_si128(_mm_andnot_si128(nan, large), all_but_sign);
    return _mm_andnot_si128(flushed, div_ps(_mm_set1_epi32(0x3f800000), x));
}

static inline __m128i reciprocal_root(__m128i x)
{
    return div_ps(_mm_set1_epi32(0x3f800000), sqrt_ps(x, x));
}

/* Rounded to nearest, denormals zero in and out, and no flags: within the error that is allowed to them. */
#define APPROXIMATE(name, count, function)                                                               \
    SSE_HELPER(void, name, struct guest *g, void *d, const void *s)                                      \
    {                                                                                                    \
        __m128i x = _mm_setzero_si128();                                                                 \
        uint32_t mode = _mm_getcsr();                                                                    \
        (void)g;                                                                                         \
        memcpy(&x, s, count * sizeof(float));                                                            \
        _mm_setcsr(MXCSR_MASKS | MXCSR_DAZ | MXCSR_FTZ);                                                 \
        x = function(x);                                                                                 \
        _mm_setcsr(mode);                                                                                \
        memcpy(d, &x, count * sizeof(float));                                                            \
    }
APPROXIMATE(rcpps, 4, reciprocal)
APPROXIMATE(rcpss, 1, reciprocal)
APPROXIMATE(rsqrtps, 4, reciprocal_root)
APPROXIMATE(rsqrtss, 1, reciprocal_root)
