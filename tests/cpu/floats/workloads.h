/* Computations in SSE, one source for the guest and for the host that checks it: each makes one number. */
#ifndef FLOATS_WORKLOADS_H
#define FLOATS_WORKLOADS_H

#include <stdbool.h>
#include <stdint.h>

#include "operands.h"

struct workload {
    const char *name, *key; /* the key asks for other rounds on the guest's command line */
    uint64_t (*run)(unsigned rounds);
    unsigned rounds;
};

enum { TRIALS = 300, MXCSR_DEFAULT = 0x1f80 };

/* One instruction under an MXCSR, which may let it raise an exception. */
struct attempt {
    const struct instruction *instruction;
    union reg d, s;
    uint32_t mxcsr;
    bool raised;
};
/* Runs it by attempt_under_mxcsr(), comes back from the exception with its MXCSR, and restores the default
 * one: by guest and host, each in its way. */
void attempt(struct attempt *a);
void attempt_under_mxcsr(void *argument);

/* Every instruction that is defined to the last bit, on random operands: tells a number of each. */
void try_instructions(unsigned rounds, void (*tell)(const char *name, uint64_t result));

extern const struct workload workloads[];
extern const unsigned workload_count;

#endif
