/* The operations of operations.def, each as the engine calls it, as the engine has it, and as the processor
 * does it.
 *
 * All have one shape here: two operands and a result of 64 bits, shorter ones in the low bits, integers
 * sign-extended. */
#ifndef VMK_TESTS_FLOAT_OPERATIONS_H
#define VMK_TESTS_FLOAT_OPERATIONS_H

#include <stdint.h>

#include "engine/softfloat.h"

enum format { FORMAT_float32, FORMAT_float64, FORMAT_int32, FORMAT_int64, FORMAT_truth };

typedef uint64_t engine_fn(uint64_t a, uint64_t b, struct float_status *s);
/* One instruction under `*mxcsr`, which is left as the instruction left it. */
typedef uint64_t processor_fn(uint64_t a, uint64_t b, uint32_t *mxcsr);

struct operation {
    const char *name;
    unsigned operands;
    enum format operand, result;
    engine_fn *wrapped, *original;
    processor_fn *processor;
};
extern const struct operation operations[];
extern const unsigned operation_count;

#endif
