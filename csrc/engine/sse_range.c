/* Inexact or not, of a result whose overflow or underflow is not masked.
 *
 * Masked, both are inexact as soon as the result does not fit. Not masked, what counts is the result with an
 * exponent as large as it needs (Intel SDM volume 1, sections 4.9.1.4 to 4.9.1.6): here the operation is done
 * again on operands whose exponents leave room. Element by element, as the others keep their flags. Needs
 * the host's flags clear, and leaves them to its caller to clear. */
#include <string.h>

#include "engine/sse.h"

struct format {
    unsigned bits, fraction;
};
static const struct format single_format = {32, 23}, double_format = {64, 52};

typedef uint64_t element_fn(uint64_t a, uint64_t b);

#define ELEMENT(name, instruction)                                                                       \
    static uint64_t name(uint64_t a, uint64_t b)                                                         \
    {                                                                                                    \
        uint64_t r;                                                                                      \
        __m128i x;                                                                                       \
        asm volatile("movq %2, %1\n\t" instruction " %3, %1\n\tmovq %1, %0"                              \
                     : "=r"(r), "=&x"(x)                                                                 \
                     : "r"(a), "x"(_mm_cvtsi64_si128((long long)b)));                                    \
        return r;                                                                                        \
    }
ELEMENT(add_single, "addss")
ELEMENT(sub_single, "subss")
ELEMENT(mul_single, "mulss")
ELEMENT(div_single, "divss")
ELEMENT(add_double, "addsd")
ELEMENT(sub_double, "subsd")
ELEMENT(mul_double, "mulsd")
ELEMENT(div_double, "divsd")
ELEMENT(narrow, "cvtsd2ss")

static element_fn *const element[][2] = {
    [SSE_ADD / 4] = {add_single, add_double}, [SSE_SUB / 4] = {sub_single, sub_double},
    [SSE_MUL / 4] = {mul_single, mul_double}, [SSE_DIV / 4] = {div_single, div_double},
    [SSE_NARROW / 4] = {narrow, narrow},
};

static uint64_t one(struct format f)
{
    return ((UINT64_C(1) << (f.bits - 2 - f.fraction)) - 1) << f.fraction;
}

/* The same significand, at 1. Not for zero. */
static uint64_t at_one(struct format f, uint64_t x)
{
    const uint64_t unit = UINT64_C(1) << f.fraction;
    uint64_t fraction = x & (unit - 1);
    if (!(x & ((UINT64_C(1) << (f.bits - 1)) - unit)))
        while (fraction && !(fraction & unit))
            fraction <<= 1;
    return one(f) | (fraction & (unit - 1));
}

/* A few binades lower; what is near zero stays: beside a number near infinity it is cut off anyway. */
static uint64_t lower(struct format f, uint64_t x)
{
    const uint64_t sign = UINT64_C(1) << (f.bits - 1), binades = UINT64_C(4) << f.fraction;
    return (x & (sign - 1)) > 2 * binades ? x - binades : x;
}

static unsigned flags_of(element_fn *compute, uint64_t a, uint64_t b, uint64_t *r)
{
    uint32_t mode = _mm_getcsr() & ~(uint32_t)MXCSR_FLAGS;
    _mm_setcsr(mode);
    *r = compute(a, b);
    return _mm_getcsr() & MXCSR_FLAGS;
}

static unsigned inexact_with_room(unsigned operation, struct format f, element_fn *compute, uint64_t a,
                                  uint64_t b)
{
    bool sum = operation == SSE_ADD || operation == SSE_SUB;
    uint64_t r;
    a = operation == SSE_NARROW ? 0 : sum ? lower(f, a) : at_one(f, a);
    b = sum ? lower(f, b) : at_one(f, b);
    return flags_of(compute, a, b, &r) & MXCSR_PE;
}

static unsigned flags_of_element(unsigned kind, uint64_t a, uint64_t b, unsigned unmasked)
{
    unsigned operation = kind & SSE_OPERATION;
    const struct format f = kind & 2 ? double_format : single_format;
    const struct format to = operation == SSE_NARROW ? single_format : f;
    element_fn *compute = element[operation / 4][kind >> 1 & 1];
    uint64_t r;
    unsigned flags = flags_of(compute, a, b, &r);
    uint64_t magnitude = r & ((UINT64_C(1) << (to.bits - 1)) - 1);
    if (unmasked & MXCSR_UE && magnitude && magnitude >> to.fraction == 0)
        flags |= MXCSR_UE;
    /* A sum that is tiny is exact. */
    if (flags & unmasked && !(flags & MXCSR_UE && operation <= SSE_SUB))
        flags = (flags & ~(unsigned)MXCSR_PE) | inexact_with_room(operation, f, compute, a, b);
    return flags;
}

unsigned sse_flags_by_element(unsigned kind, const void *a, const void *b, unsigned unmasked)
{
    size_t size = kind & 2 ? 8 : 4;
    unsigned flags = 0;
    for (unsigned i = 0; i < sse_count(kind); i++) {
        uint64_t x = 0, y = 0;
        memcpy(&x, (const char *)a + i * size, size);
        memcpy(&y, (const char *)b + i * size, size);
        flags |= flags_of_element(kind, x, y, unmasked);
    }
    return flags;
}
