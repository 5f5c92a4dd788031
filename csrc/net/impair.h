/* A bad line: frames get lost, corrupted and delayed, the same ones in every run. */
#ifndef VMK_NET_IMPAIR_H
#define VMK_NET_IMPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One direction of a line. */
struct net_impair {
    uint64_t random;        /* state of the generator */
    uint32_t loss, corrupt; /* parts in 2^32 of the frames */
    uint64_t delay;         /* ns */
};

/* What the line makes of a frame: false if it is lost; else `frame` may have one bit flipped. Each frame
 * draws the same number of times, so that what becomes of one does not depend on the fate of those before
 * it. */
bool impair_frame(struct net_impair *line, uint8_t *frame, size_t len);

#endif
