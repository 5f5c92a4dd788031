/* The VM's one clock: virtual, real or manual behind one reading. See core/clock.h for what each means. */
#include "core/clock.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

static uint64_t host_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void clock_init(struct clock *c, enum clock_mode mode)
{
    memset(c, 0, sizeof(*c));
    c->mode = mode;
    if (mode == CLOCK_REAL)
        clock_pause(c);
}

uint64_t clock_now_real(struct clock *c)
{
    return c->counter_base ? c->base : host_ns() - c->host_offset;
}

void clock_skip_to(struct clock *c, uint64_t when)
{
    uint64_t now = clock_now(c);
    if (c->mode != CLOCK_REAL && when > now)
        c->base += when - now;
}

void clock_attach(struct clock *c, const uint64_t *limit, const int64_t *left)
{
    if (c->mode == CLOCK_REAL)
        return;
    c->base += clock_retired(c) - c->counter_base;
    c->limit = limit;
    c->left = left;
    c->counter_base = clock_retired(c);
}

/* In real mode `counter_base` is 1 while paused and `base` holds the time at which the clock stands. */
void clock_pause(struct clock *c)
{
    if (c->mode != CLOCK_REAL || c->counter_base)
        return;
    c->base = c->host_offset ? clock_now(c) : 0;
    c->counter_base = 1;
}

void clock_resume(struct clock *c)
{
    if (c->mode != CLOCK_REAL || !c->counter_base)
        return;
    c->host_offset = host_ns() - c->base;
    c->counter_base = 0;
}
