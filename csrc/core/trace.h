/* A ring of what the VM did: traps, exceptions, interrupts, port and MMIO accesses. The diagnostic screen
 * shows its tail; `--trace` streams the kinds that were asked for. Recording is a few stores; nothing is
 * formatted here. */
#ifndef VMK_CORE_TRACE_H
#define VMK_CORE_TRACE_H

#include <stdint.h>

#include "vmk_api.h"

#define TRACE_RING 4096

struct trace {
    uint64_t written;       /* events ever recorded; ring index = written % TRACE_RING */
    uint64_t read;          /* events already handed to the reader */
    uint32_t
        mask; /* bit per vmk_trace_kind that is recorded in addition to traps, exceptions and interrupts */
    uint64_t count[VMK_TRACE_KINDS];
    struct vmk_trace_event ring[TRACE_RING];
};

static inline void trace_add(struct trace *t, enum vmk_trace_kind kind, uint64_t time, unsigned cpu,
                             uint64_t a, uint64_t b, uint64_t c)
{
    struct vmk_trace_event *e = &t->ring[t->written++ % TRACE_RING];
    e->time = time;
    e->kind = (uint16_t)kind;
    e->cpu = (uint16_t)cpu;
    e->a = a;
    e->b = b;
    e->c = c;
}

#endif
