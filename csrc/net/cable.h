/* The two directions of a cable, between a jack (a NIC's port or a switch's) and what is plugged in there.
 *
 * What is plugged in is opened with the jack's `struct net_sink`, which takes its frames, and fills a
 * `struct net_peer` (net/port.h), which takes the jack's. The jack closes the peer before its sink dies. */
#ifndef VMK_NET_CABLE_H
#define VMK_NET_CABLE_H

#include "net/port.h"

/* From any thread; `when` is VM time, 0 for at once. 0 or a negative vmk_error_code. */
struct net_sink {
    int (*take)(void *ctx, const uint8_t *frame, size_t len, uint64_t when);
    void *ctx;
};

static inline int sink_take(const struct net_sink *s, const uint8_t *frame, size_t len, uint64_t when)
{
    return s->take(s->ctx, frame, len, when);
}

#endif
