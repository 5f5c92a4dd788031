/* The VM's one clock, in nanoseconds since power-on.
 *
 * Virtual: the sum of all retired guest instructions (1 instruction = 1 ns), what slow instructions cost on
 * top (cpu/cost.h), and the idle time that was skipped. Two runs of one image read the same times. Real: the
 * host's monotonic clock, minus the time the VM was paused. Manual: moved by tests only. Times never run
 * backwards: a fault takes back the rest of its block's count, and a reader must not see that. */
#ifndef VMK_CORE_CLOCK_H
#define VMK_CORE_CLOCK_H

#include <stdint.h>

enum clock_mode { CLOCK_VIRTUAL = 0, CLOCK_REAL = 1, CLOCK_MANUAL = 2 };

#define TSC_HZ 1000000000ull /* the guest's TSC counts nanoseconds in either mode */

struct clock {
    uint32_t mode;
    uint64_t base; /* ns that do not come from the running counter: past turns, idle skips, manual steps */
    const uint64_t *limit;    /* the running vCPU's retired instructions are *limit - *left; or NULL */
    const int64_t *left;
    uint64_t counter_base;    /* their number when its turn began */
    uint64_t floor;           /* the latest time anyone has read */
    uint64_t host_offset;     /* real: host ns that are not VM time */
};

void clock_init(struct clock *c, enum clock_mode mode);
uint64_t clock_now_real(struct clock *c);

static inline uint64_t clock_retired(const struct clock *c)
{
    return c->limit ? *c->limit - (uint64_t)*c->left : 0;
}

static inline uint64_t clock_now(struct clock *c)
{
    /* The host's clock never runs backwards; and with threads nothing may be written here. */
    if (c->mode == CLOCK_REAL)
        return clock_now_real(c);
    uint64_t now = c->base + clock_retired(c) - c->counter_base;
    if (now > c->floor)
        c->floor = now;
    return c->floor;
}

/* Virtual and manual: move to `when` if that is ahead. Real: no effect (the caller waits). */
void clock_skip_to(struct clock *c, uint64_t when);

/* What the guest did just now takes `ns` of VM time beyond its one instruction. Virtual only. */
static inline void clock_charge(struct clock *c, uint64_t ns)
{
    if (c->mode == CLOCK_VIRTUAL)
        c->base += ns;
}

/* Attach the countdown of the vCPU whose turn begins; detach with NULL, which books what it retired. */
void clock_attach(struct clock *c, const uint64_t *limit, const int64_t *left);

/* Real: the VM is paused or goes on; a paused VM's clock stands. It starts paused, until the first run. */
void clock_pause(struct clock *c);
void clock_resume(struct clock *c);

#endif
