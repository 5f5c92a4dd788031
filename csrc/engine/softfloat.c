/* SSE arithmetic on the host's own FPU, in the cases whose value and exception flags are known to be the same
 * as the engine's: IEEE 754-2019 sections 4.3 (rounding), 5.4 (operations), 7.4 to 7.6 (overflow, underflow,
 * inexact).
 *
 * Reading the host's flags costs more than computing in software, so nothing here looks at them. Each
 * function takes only what cannot raise a flag the guest has not got yet, and leaves the rest to the engine:
 *   - rounding to nearest with the inexact flag set already: in a guest it nearly always is, as nothing ever
 *     clears it;
 *   - no denormal operand. So neither the guest's DAZ nor one left in the host's MXCSR (some libraries set it
 *     when they are loaded) makes a difference;
 *   - a result above the smallest normal number and below infinity: neither overflow nor underflow nor FTZ.
 *     That also proves that no operand was a NaN or infinite;
 *   - a result of zero only where it is exact.
 * Conversions and roundings to an integer tell whether they were exact by converting back, so they need no
 * flag set in advance.
 *
 * Assumes that the host's MXCSR rounds to nearest, as it does at every thread's start. Leaves out x87, whose
 * format the host's SSE has not got, and what the engine is no slower at: comparisons that set EFLAGS, square
 * roots of float32, float32 to float64. */
#include "engine/softfloat.h"

#include <emmintrin.h>
#include <float.h>
#include <stdbool.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "-ffast-math: engine/softfloat.c needs IEEE arithmetic, remove the option"
#endif
_Static_assert(FLT_EVAL_METHOD == 0, "float and double must compute in their own precision: build for SSE2");

typedef uint32_t float32;
typedef uint64_t float64;

/* The engine's function as the linker renames it, and ours in its place. */
#define REPLACED(type, name, ...)                                                                        \
    type __real_##name##_x86_64(__VA_ARGS__);                                                            \
    type __wrap_##name##_x86_64(__VA_ARGS__);                                                            \
    type __wrap_##name##_x86_64(__VA_ARGS__)
#define ORIGINAL(name) __real_##name##_x86_64

#define LIKELY(x) __builtin_expect(!!(x), 1)

/* What is known of a format: its bits, the host's type, how many of the bits are fraction, SSE's letter. */
#define FORMAT(bits, host, fraction, letter)                                                             \
    enum { FRACTION_##bits = fraction };                                                                 \
    static inline host value_##bits(float##bits pattern)                                                 \
    {                                                                                                    \
        host value;                                                                                      \
        memcpy(&value, &pattern, sizeof(value));                                                         \
        return value;                                                                                    \
    }                                                                                                    \
    static inline float##bits pattern_##bits(host value)                                                 \
    {                                                                                                    \
        float##bits pattern;                                                                             \
        memcpy(&pattern, &value, sizeof(pattern));                                                       \
        return pattern;                                                                                  \
    }                                                                                                    \
    static inline host whole_##bits(int64_t i)                                                           \
    {                                                                                                    \
        return i;                                                                                        \
    }                                                                                                    \
    static inline bool is_zero_##bits(float##bits a)                                                     \
    {                                                                                                    \
        return !(float##bits)(a << 1);                                                                   \
    }                                                                                                    \
    static inline unsigned exponent_##bits(float##bits a)                                                \
    {                                                                                                    \
        return (float##bits)(a << 1) >> (fraction + 1);                                                  \
    }                                                                                                    \
    static inline bool no_denormal_##bits(float##bits a)                                                 \
    {                                                                                                    \
        return LIKELY(exponent_##bits(a)) || is_zero_##bits(a);                                          \
    }                                                                                                    \
    /* Exponent 1 is left out: a result that rounds up to the smallest normal number may have been tiny. */ \
    static inline bool is_settled_##bits(float##bits r)                                                  \
    {                                                                                                    \
        return LIKELY(exponent_##bits(r) - 2u < (1u << (bits - 1 - fraction)) - 3);                      \
    }                                                                                                    \
    static inline int64_t nearest_##bits(float##bits a)                                                  \
    {                                                                                                    \
        return _mm_cvts##letter##_si64(_mm_set_s##letter(value_##bits(a)));                              \
    }                                                                                                    \
    static inline int64_t truncated_##bits(float##bits a)                                                \
    {                                                                                                    \
        return _mm_cvtts##letter##_si64(_mm_set_s##letter(value_##bits(a)));                             \
    }
FORMAT(64, double, 52, d)
FORMAT(32, float, 23, s)

/* Whether rounding in the host's way leaves no trace in `s`. */
static inline bool rounds_unseen(const struct float_status *s)
{
    return LIKELY(s->rounding == ROUND_NEAREST && s->flags & FLOAT_INEXACT);
}

/* `exact_zero`: which zero results come from no rounding. */
#define ARITHMETIC(bits, name, op, exact_zero)                                                           \
    REPLACED(float##bits, float##bits##_##name, float##bits a, float##bits b, struct float_status *s)    \
    {                                                                                                    \
        if (rounds_unseen(s) && no_denormal_##bits(a) && no_denormal_##bits(b)) {                        \
            float##bits r = pattern_##bits(value_##bits(a) op value_##bits(b));                          \
            if (is_settled_##bits(r) || (is_zero_##bits(r) && (exact_zero)))                             \
                return r;                                                                                \
        }                                                                                                \
        return ORIGINAL(float##bits##_##name)(a, b, s);                                                  \
    }
#define ARITHMETIC_OF(bits)                                                                              \
    ARITHMETIC(bits, add, +, is_zero_##bits(a ^ b))                                                      \
    ARITHMETIC(bits, sub, -, is_zero_##bits(a ^ b))                                                      \
    ARITHMETIC(bits, mul, *, is_zero_##bits(a) || is_zero_##bits(b))                                     \
    ARITHMETIC(bits, div, /, is_zero_##bits(a))
ARITHMETIC_OF(64)
ARITHMETIC_OF(32)

REPLACED(float64, float64_sqrt, float64 a, struct float_status *s)
{
    if (rounds_unseen(s) && no_denormal_64(a)) {
        __m128d x = _mm_set_sd(value_64(a));
        float64 r = pattern_64(_mm_cvtsd_f64(_mm_sqrt_sd(x, x)));
        if (is_settled_64(r) || is_zero_64(a))
            return r;
    }
    return ORIGINAL(float64_sqrt)(a, s);
}

REPLACED(float32, float64_to_float32, float64 a, struct float_status *s)
{
    if (rounds_unseen(s) && no_denormal_64(a)) {
        float32 r = pattern_32((float)value_64(a));
        if (is_settled_32(r) || is_zero_64(a))
            return r;
    }
    return ORIGINAL(float64_to_float32)(a, s);
}

/* Integers with no more bits than the fraction convert exactly, whatever the rounding. */
#define FROM_INTEGER(size, bits)                                                                         \
    REPLACED(float##bits, int##size##_to_float##bits, int##size##_t a, struct float_status *s)           \
    {                                                                                                    \
        const uint64_t limit = UINT64_C(1) << FRACTION_##bits;                                           \
        if (size <= FRACTION_##bits || (uint64_t)a + limit <= 2 * limit || rounds_unseen(s))             \
            return pattern_##bits(whole_##bits(a));                                                      \
        return ORIGINAL(int##size##_to_float##bits)(a, s);                                               \
    }
FROM_INTEGER(32, 32)
FROM_INTEGER(32, 64)
FROM_INTEGER(64, 32)
FROM_INTEGER(64, 64)

/* The host answers INT64_MIN for what has no place in 64 bits; what really is INT64_MIN goes the same way. */
#define TO_INTEGER(bits, size, suffix, convert, condition)                                               \
    REPLACED(int##size##_t, float##bits##_to_int##size##suffix, float##bits a, struct float_status *s)   \
    {                                                                                                    \
        int64_t i = convert##_##bits(a);                                                                 \
        if (LIKELY((condition) && i == (int##size##_t)i && i != INT64_MIN) && no_denormal_##bits(a)) {   \
            if (whole_##bits(i) != value_##bits(a))                                                      \
                s->flags |= FLOAT_INEXACT;                                                               \
            return i;                                                                                    \
        }                                                                                                \
        return ORIGINAL(float##bits##_to_int##size##suffix)(a, s);                                       \
    }
#define TO_INTEGERS(bits, size)                                                                          \
    TO_INTEGER(bits, size, , nearest, s->rounding == ROUND_NEAREST)                                      \
    TO_INTEGER(bits, size, _round_to_zero, truncated, true)
TO_INTEGERS(32, 32)
TO_INTEGERS(32, 64)
TO_INTEGERS(64, 32)
TO_INTEGERS(64, 64)

/* Only numbers below 2 to the number of fraction bits have fractions at all, and those fit an int64_t. */
#define ROUND_TO_INTEGER(bits)                                                                           \
    static inline int64_t rounded_##bits(float##bits a, int mode)                                        \
    {                                                                                                    \
        if (mode == ROUND_NEAREST)                                                                       \
            return nearest_##bits(a);                                                                    \
        int64_t i = truncated_##bits(a);                                                                 \
        if (mode == ROUND_DOWN)                                                                          \
            return i - (whole_##bits(i) > value_##bits(a));                                              \
        if (mode == ROUND_UP)                                                                            \
            return i + (whole_##bits(i) < value_##bits(a));                                              \
        return i;                                                                                        \
    }                                                                                                    \
    REPLACED(float##bits, float##bits##_round_to_int, float##bits a, struct float_status *s)             \
    {                                                                                                    \
        const unsigned bias = (1u << (bits - 2 - FRACTION_##bits)) - 1;                                  \
        if (LIKELY(s->rounding <= ROUND_TO_ZERO && exponent_##bits(a) < bias + FRACTION_##bits) &&       \
            no_denormal_##bits(a)) {                                                                     \
            float##bits r = pattern_##bits(whole_##bits(rounded_##bits(a, s->rounding)));                \
            r |= a & (float##bits)1 << (bits - 1); /* what rounds to zero keeps its sign */              \
            if (value_##bits(r) != value_##bits(a))                                                      \
                s->flags |= FLOAT_INEXACT;                                                               \
            return r;                                                                                    \
        }                                                                                                \
        return ORIGINAL(float##bits##_round_to_int)(a, s);                                               \
    }
ROUND_TO_INTEGER(64)
ROUND_TO_INTEGER(32)

/* MINSD, MAXSD, CMPSD and their kin. */
#define COMPARISON(bits, name, op)                                                                       \
    REPLACED(int, float##bits##_##name, float##bits a, float##bits b, struct float_status *s)            \
    {                                                                                                    \
        if (no_denormal_##bits(a) && no_denormal_##bits(b) &&                                            \
            LIKELY(!__builtin_isunordered(value_##bits(a), value_##bits(b))))                            \
            return value_##bits(a) op value_##bits(b);                                                   \
        return ORIGINAL(float##bits##_##name)(a, b, s);                                                  \
    }
#define COMPARISONS(bits)                                                                                \
    COMPARISON(bits, lt, <)                                                                              \
    COMPARISON(bits, le, <=)                                                                             \
    COMPARISON(bits, eq_quiet, ==)
COMPARISONS(64)
COMPARISONS(32)
