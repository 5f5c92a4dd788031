/* The engine's floating-point environment: struct float_status of Unicorn 2.1.4's fpu/softfloat-types.h. */
#ifndef VMK_ENGINE_SOFTFLOAT_H
#define VMK_ENGINE_SOFTFLOAT_H

#include <stdint.h>

/* The first four are MXCSR's RC field; no x86 guest reaches the fifth. */
enum float_rounding { ROUND_NEAREST, ROUND_DOWN, ROUND_UP, ROUND_TO_ZERO, ROUND_TIES_AWAY };

/* At the places that MXCSR gives them. */
enum float_flag {
    FLOAT_INVALID = 1,
    FLOAT_DIVIDE_BY_ZERO = 4,
    FLOAT_OVERFLOW = 8,
    FLOAT_UNDERFLOW = 16,
    FLOAT_INEXACT = 32,
};

struct float_status {
    int8_t tiny_before_rounding;
    int8_t rounding;
    uint8_t flags;
    int8_t x80_precision;
    uint8_t flush_results;
    uint8_t flush_operands;
    uint8_t default_nan;
    uint8_t snan_bit_is_one;
};

#endif
