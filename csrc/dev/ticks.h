/* Exact conversion between VM time and the ticks of a chip's crystal, both counted from power-on.
 *
 * Chips keep the absolute tick at which something began, never an accumulated sum of rounded periods, so
 * nothing drifts. Splitting off whole seconds keeps every product below 2^64 for crystals up to 16 GHz and
 * centuries of VM time. */
#ifndef VMK_DEV_TICKS_H
#define VMK_DEV_TICKS_H

#include <stdint.h>

#define NS_PER_SEC 1000000000ull

/* Ticks completed at `ns`. */
static inline uint64_t ticks_at(uint64_t ns, uint64_t hz)
{
    return ns / NS_PER_SEC * hz + ns % NS_PER_SEC * hz / NS_PER_SEC;
}

/* The first nanosecond at which ticks_at() reaches `ticks`; UINT64_MAX beyond the range of VM time. */
static inline uint64_t ns_of_tick(uint64_t ticks, uint64_t hz)
{
    uint64_t seconds = ticks / hz;

    if (seconds >= UINT64_MAX / NS_PER_SEC)
        return UINT64_MAX;
    return seconds * NS_PER_SEC + (ticks % hz * NS_PER_SEC + hz - 1) / hz;
}

#endif
