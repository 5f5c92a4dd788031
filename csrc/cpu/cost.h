/* What slow instructions cost in virtual time, beyond the 1 ns of every instruction.
 *
 * Round numbers of the order of PC hardware, chosen and not measured: a port access crosses a slow bus, an
 * uncached access a fast one, PAUSE holds the pipeline. They matter because guests pace themselves by
 * polling: a loop that waits 50 ms for a timer must not run fifty million instructions to do so. */
#ifndef VMK_CPU_COST_H
#define VMK_CPU_COST_H

#include "core/vm.h"

enum cost_ns { COST_PORT = 500, COST_MMIO = 100, COST_PAUSE = 140 };

static inline void cost(struct vcpu *v, enum cost_ns ns)
{
    if (v->board->clock.mode != CLOCK_VIRTUAL)
        return;
    clock_charge(&v->board->clock, ns);
    /* All deadlines have come nearer. */
    v->due -= ns;
    v->guest->limit -= ns;
    v->guest->left -= (int64_t)ns;
}

#endif
