/* Computations in SSE, one source for the guest and for the host that checks it: each makes one number. */
#ifndef FLOATS_WORKLOADS_H
#define FLOATS_WORKLOADS_H

#include <stdint.h>

struct workload {
    const char *name, *key; /* the key asks for other rounds on the guest's command line */
    uint64_t (*run)(unsigned rounds);
    unsigned rounds;
};
extern const struct workload workloads[];
extern const unsigned workload_count;

#endif
