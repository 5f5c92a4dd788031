/* Random operands of IEEE 754-2019 section 3.4's binary32 and binary64, and of integers. */
#include "operands.h"

#include <stdbool.h>

struct layout {
    unsigned bits, fraction;
};
static const struct layout layouts[] = {[FORMAT_float32] = {32, 23}, [FORMAT_float64] = {64, 52}};

/* xorshift64* (Vigna, 2016). */
uint64_t random_next(struct random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * 0x2545f4914f6cdd1dull;
}

static uint64_t below(struct random *r, uint64_t limit)
{
    return (random_next(r) >> 16) % limit;
}

static unsigned exponent_max(struct layout l)
{
    return (1u << (l.bits - 1 - l.fraction)) - 1;
}

static uint64_t pack(struct layout l, uint64_t sign, uint64_t exponent, uint64_t fraction)
{
    uint64_t mask = (UINT64_C(1) << l.fraction) - 1;
    return (sign & 1) << (l.bits - 1) | (exponent & exponent_max(l)) << l.fraction | (fraction & mask);
}

/* All zeros, all ones, a single bit, a few bits at one end, or anything. */
static uint64_t fraction_next(struct random *r, struct layout l)
{
    switch (below(r, 8)) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return UINT64_C(1) << below(r, l.fraction);
    case 3: return below(r, 16);
    case 4: return 0 - below(r, 16);
    case 5: return random_next(r) << below(r, l.fraction);
    default: return random_next(r);
    }
}

static uint64_t exponent_next(struct random *r, struct layout l)
{
    unsigned max = exponent_max(l), bias = max / 2;
    switch (below(r, 8)) {
    case 0: return below(r, 4);                  /* zero, denormals, the smallest normal numbers */
    case 1: return max - below(r, 4);            /* infinity, NaN, the largest numbers */
    case 2: return bias - 2 + below(r, 5);       /* around 1 */
    case 3: return bias + below(r, 70);          /* around the limits of integers, and where fractions end */
    case 4: return bias / 2 - 8 + below(r, 16);  /* squares underflow */
    case 5: return bias + bias / 2 - 8 + below(r, 16);
    default: return below(r, max + 1);
    }
}

static uint64_t float_next(struct random *r, struct layout l)
{
    if (!below(r, 16))
        return pack(l, random_next(r), 0, 0);
    return pack(l, random_next(r), exponent_next(r, l), fraction_next(r, l));
}

static uint64_t integer_next(struct random *r)
{
    uint64_t near_power = (UINT64_C(1) << below(r, 64)) + below(r, 9) - 4;
    switch (below(r, 4)) {
    case 0: return below(r, 64) - 32;
    case 1: return near_power;
    case 2: return 0 - near_power;
    default: return random_next(r) >> below(r, 64);
    }
}

static uint64_t operand_next(struct random *r, enum format format)
{
    switch (format) {
    case FORMAT_int32: return (uint64_t)(int32_t)integer_next(r);
    case FORMAT_int64: return integer_next(r);
    default: return float_next(r, layouts[format]);
    }
}

/* A second operand: often one with which `first` cancels in a sum, or overflows or underflows otherwise. */
static uint64_t operand_beside(struct random *r, enum format format, uint64_t first)
{
    struct layout l = layouts[format];
    unsigned max = exponent_max(l), bias = max / 2;
    unsigned exponent = first >> l.fraction & max;
    unsigned edge = below(r, 2) ? max - 3 + below(r, 6) : below(r, 6) - 3;
    switch (below(r, 8)) {
    /* Equal or opposite, or nearly so. */
    case 0: return pack(l, random_next(r), exponent, first);
    case 1: return pack(l, random_next(r), exponent, first + below(r, 9) - 4);
    case 2: return pack(l, random_next(r), exponent + below(r, 5) - 2, fraction_next(r, l));
    /* The product, the quotient where the exponents end. */
    case 3: return pack(l, random_next(r), edge + bias - exponent, fraction_next(r, l));
    case 4: return pack(l, random_next(r), exponent + bias - edge, fraction_next(r, l));
    default: return float_next(r, l);
    }
}

void operands_fill(struct random *r, enum format format, union reg *d, union reg *s)
{
    bool wide = format == FORMAT_float64 || format == FORMAT_int64;
    for (unsigned i = 0; i < (wide ? 2 : 4); i++) {
        uint64_t a = operand_next(r, format);
        uint64_t b = format <= FORMAT_float64 ? operand_beside(r, format, a) : operand_next(r, format);
        if (wide)
            s->doubles[i] = a, d->doubles[i] = b;
        else
            s->singles[i] = (uint32_t)a, d->singles[i] = (uint32_t)b;
    }
    /* Neighbours alike, for the horizontal ones. */
    if (!(random_next(r) >> 16 & 3))
        s->singles[1] = s->singles[0] ^ (uint32_t)(random_next(r) >> 16 & 0x80000001u);
}

/* Intel SDM volume 1, section 10.2.3; the modes are FTZ, RC and DAZ. */
enum { FLAGS = 0x3f, MASKS = 0x1f80, MODES = 0xe040 };

/* What guests compute with is half of all: everything masked, rounding to nearest. */
uint32_t mxcsr_next(struct random *r)
{
    uint64_t dice = random_next(r) >> 16;
    uint32_t flags = dice >> 8 & FLAGS, mode = dice >> 16 & MODES;
    switch (dice & 7) {
    case 0: return flags | mode | (dice >> 32 & MASKS);
    case 1:
    case 2:
    case 3: return flags | mode | MASKS;
    default: return flags | MASKS;
    }
}
