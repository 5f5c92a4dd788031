/* Exact retired instructions. See count.c. */
#ifndef VMK_ENGINE_COUNT_H
#define VMK_ENGINE_COUNT_H

#include <stdint.h>

struct vcpu;

/* Translate the start of a block: the check, in which `call_safe_point` emits the call, then the count.
 * Returns the operation whose argument 1 is the number of instructions, to be filled in when it is known. */
void *count_emit(void *ctx, void (*call_safe_point)(void *), void *closure);

/* Take back the instructions of the block around `ra` from number `keep` past the one that contains it: 0
 * when that instruction faulted, 1 when it retired but the block ends there. */
void count_take_back(struct vcpu *v, uintptr_t ra, unsigned keep);

#endif
