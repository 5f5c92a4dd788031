/* Exact retired instructions. See count.c. */
#ifndef VMK_ENGINE_COUNT_H
#define VMK_ENGINE_COUNT_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* The pieces of one block's check while it is translated. */
struct count_code {
    void *slow, *back;  /* labels */
    void *constant;     /* the operation whose argument 1 is the number of instructions */
};

/* The block's start. */
void count_emit(struct count_code *c, void *ctx);
/* Behind the block's end, when its length is known; `call` emits the call of the safe point. */
void count_finish(struct count_code *c, void *ctx, unsigned instructions, void (*call)(void *),
                  void *closure);
/* The block's code is made: put the subtraction in. False: this is not the code we know. */
bool count_rewrite(uint8_t *code);

/* Take back the instructions of the block around `ra` from number `keep` past the one that contains it: 0
 * when that instruction faulted, 1 when it retired but the block ends there. */
void count_take_back(struct vcpu *v, uintptr_t ra, unsigned keep);

#endif
