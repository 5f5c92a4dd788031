/* Operands worth trying: those that lie at the edges of a format, and pairs whose result does. */
#ifndef VMK_TESTS_FLOAT_OPERANDS_H
#define VMK_TESTS_FLOAT_OPERANDS_H

#include <stdint.h>

#include "operations.h"

struct random {
    uint64_t state; /* never 0 */
};
uint64_t random_next(struct random *r);

uint64_t operand_next(struct random *r, enum format format);
/* A second operand: often one with which `first` cancels in a sum, or overflows or underflows otherwise. */
uint64_t operand_beside(struct random *r, enum format format, uint64_t first);

#endif
