/* Further processors. */
#pragma once
#include <stdint.h>

enum { MAX_CPUS = 8 };

/*
 * Start the processors that `cpus=N` on the command line promises (default 2), run fn(cpu) on all of them,
 * this one as cpu 0, and wait until all are through. Returns how many ran; one that never comes up costs a
 * FAIL line, not a hang. fn runs with interrupts off; only cpu 0 may use guarded() and report.
 */
unsigned smp_run(void (*fn)(unsigned cpu));
/* The number of processors smp_run() is going to wait for. */
unsigned smp_wanted(void);
/* Wait until all of `cpus` processors have come here `round` times, counted from 1. */
void smp_barrier(unsigned cpus, unsigned round);
