/* Which blocks form a loop. See find.c. */
#ifndef VMK_DIRECT_FIND_H
#define VMK_DIRECT_FIND_H

#include "direct/loop.h"

/* One page of code, and what the engine made of it. Jump 0 of a block is where it goes on behind a
 * conditional jump that is not taken, or its only jump; jump 1 is the conditional jump. */
struct direct_code {
    uint64_t va;          /* of the page */
    const uint8_t *bytes; /* 4096 */
    /* The engine's block is at `pc` and has exactly these instructions. */
    bool (*is_block)(const void *block, uint64_t pc, unsigned bytes, unsigned insns);
    /* The engine's block that a jump has been linked to, or NULL. */
    const void *(*linked)(const void *block, unsigned jump);
    /* The jump itself in the engine's code, or NULL: it looks its target up each time. */
    const void *(*jump)(const void *block, unsigned jump);
};

/* The blocks through which control can return to `first`, the engine's block at `pc`, within one page; it is
 * block 0. `insn` has room for DIRECT_INSNS. False: there is no loop, or some instruction on every way round
 * does not run directly. */
bool direct_find(const struct direct_code *code, const void *first, uint64_t pc, struct direct_loop *loop,
                 struct insn *insn);

#endif
