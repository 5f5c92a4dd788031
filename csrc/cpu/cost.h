/* What slow instructions cost in virtual time, beyond the 1 ns of every instruction.
 *
 * The figures are those of hardware, to the nearest round number: a port access crosses a slow bus, an
 * uncached access a fast one, PAUSE holds the pipeline. They matter because guests pace themselves by
 * polling: a loop that waits 50 ms for a timer runs as often as it would on a PC instead of twenty times as
 * often. */
#ifndef VMK_CPU_COST_H
#define VMK_CPU_COST_H

#include "core/vcpu.h"

enum cost_ns { COST_PORT = 500, COST_MMIO = 100, COST_PAUSE = 140 };

static inline void cost(struct vcpu *v, enum cost_ns ns)
{
    clock_charge(&v->board->clock, ns);
    /* A deadline may have come nearer: the next block start looks. */
    if (v->board->clock.mode == CLOCK_VIRTUAL)
        v->guest->limit = v->guest->limit > ns ? v->guest->limit - ns : 0;
}

#endif
