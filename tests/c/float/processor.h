/* The instructions of operations.def as the processor does them, under the MXCSR that is set. All have one
 * shape here: a destination and a source register; a general register is the low bits of either, RFLAGS of
 * the destination. */
#ifndef VMK_TESTS_FLOAT_PROCESSOR_H
#define VMK_TESTS_FLOAT_PROCESSOR_H

#include <emmintrin.h>
#include <stdint.h>

/* Of an operand's elements. */
enum format { FORMAT_float32, FORMAT_float64, FORMAT_int32, FORMAT_int64 };

union reg {
    uint32_t singles[4];
    uint64_t doubles[2];
    __m128i whole;
};

struct instruction {
    const char *name;
    enum format format;
    void (*run)(union reg *d, const union reg *s);
};
extern const struct instruction instructions[];
extern const unsigned instruction_count;

#endif
