/* The instructions of operations.def as translated code calls them, in the order of `instructions`. */
#ifndef VMK_TESTS_FLOAT_MONITOR_H
#define VMK_TESTS_FLOAT_MONITOR_H

#include "engine/sse.h"
#include "processor.h"

typedef void monitor_fn(struct guest *g, union reg *d, const union reg *s);
extern monitor_fn *const monitor[];

#endif
