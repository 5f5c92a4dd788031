/* Exact retired instructions. See count.c. */
#ifndef VMK_ENGINE_COUNT_H
#define VMK_ENGINE_COUNT_H

#include <stdint.h>

struct vcpu;

/* Take back the instructions of the block around `ra` from number `keep` past the one that contains it: 0 when that instruction
 * faulted, 1 when it retired but the block ends there. */
void count_take_back(struct vcpu *v, uintptr_t ra, unsigned keep);

#endif
