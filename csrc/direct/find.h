/* Which blocks form a loop. See find.c. */
#ifndef VMK_DIRECT_FIND_H
#define VMK_DIRECT_FIND_H

#include "direct/loop.h"

/* One page of code, and what the engine made of it. */
struct direct_code {
    uint64_t va;          /* of the page */
    const uint8_t *bytes; /* 4096 */
    /* The engine has a block at `pc` with exactly these instructions. */
    bool (*is_block)(void *ctx, uint64_t pc, unsigned bytes, unsigned insns);
    void *ctx;
};

/* The blocks through which control can return to `pc`, within one page; block 0 begins there. `insn` has room
 * for DIRECT_INSNS. False: there is no loop, or some instruction on every way round does not run directly. */
bool direct_find(const struct direct_code *code, uint64_t pc, struct direct_loop *loop, struct insn *insn);

#endif
