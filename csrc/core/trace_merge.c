/* With a thread per vCPU every CPU records its own events, and the board those of its chips. Here they become
 * one ring again, in order of time, when somebody looks: between runs. */
#include <stdlib.h>

#include "core/vm.h"

/* The oldest event a ring still has and nobody has taken, or NULL. */
static const struct vmk_trace_event *first_of(struct trace *t)
{
    if (t->written - t->read > TRACE_RING)
        t->read = t->written - TRACE_RING;
    return t->read < t->written ? &t->ring[t->read % TRACE_RING] : NULL;
}

static struct trace *earliest(struct vm *vm)
{
    struct trace *best = first_of(&vm->board->trace) ? &vm->board->trace : NULL;
    for (unsigned i = 0; i < vm->cpus; i++) {
        struct trace *t = vm->vcpu[i]->trace;
        if (first_of(t) && (!best || first_of(t)->time < first_of(best)->time))
            best = t;
    }
    return best;
}

struct trace *vm_trace(struct vm *vm)
{
    struct trace *from, *to = vm->merged;
    if (!vm->parallel)
        return &vm->board->trace;
    if (!to && !(to = vm->merged = calloc(1, sizeof(*to))))
        return &vm->board->trace;
    while ((from = earliest(vm))) {
        to->ring[to->written++ % TRACE_RING] = *first_of(from);
        from->read++;
    }
    return to;
}
