/* A queue of frames on their way, in the order of their times and, for equal times, of arrival. No locks. */
#ifndef VMK_NET_FRAMES_H
#define VMK_NET_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame {
    struct frame *next, *before;
    uint64_t when;
    size_t len;
    bool impaired; /* a bad line has had it */
    uint8_t bytes[];
};

struct frames {
    struct frame *first, *last;
    size_t bytes; /* with each frame's own overhead */
};

/* A copy in a frame of its own; NULL: out of memory. */
struct frame *frame_new(const uint8_t *bytes, size_t len, uint64_t when);

bool frames_fit(const struct frames *q, size_t len, size_t limit);
void frames_insert(struct frames *q, struct frame *f);
/* Before every frame that is there now: it was the first of its time. */
void frames_put_back(struct frames *q, struct frame *f);
struct frame *frames_take_due(struct frames *q, uint64_t now);
void frames_clear(struct frames *q);

#endif
