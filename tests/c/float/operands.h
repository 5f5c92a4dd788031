/* Operands worth trying: those that lie at the edges of a format, and pairs whose result does. */
#ifndef VMK_TESTS_FLOAT_OPERANDS_H
#define VMK_TESTS_FLOAT_OPERANDS_H

#include <stdint.h>

#include "processor.h"

struct random {
    uint64_t state; /* never 0 */
};
uint64_t random_next(struct random *r);

void operands_fill(struct random *r, enum format format, union reg *d, union reg *s);
uint32_t mxcsr_next(struct random *r);

#endif
