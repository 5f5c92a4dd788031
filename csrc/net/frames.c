/* Frames on their way: a doubly linked list, entered from its end, where nearly every frame belongs. */
#include "net/frames.h"

#include <stdlib.h>
#include <string.h>

struct frame *frame_new(const uint8_t *bytes, size_t len, uint64_t when)
{
    struct frame *f = malloc(sizeof(*f) + len);
    if (!f)
        return NULL;
    *f = (struct frame){.when = when, .len = len};
    memcpy(f->bytes, bytes, len);
    return f;
}

bool frames_fit(const struct frames *q, size_t len, size_t limit)
{
    return q->bytes + sizeof(struct frame) + len <= limit;
}

static void link_after(struct frames *q, struct frame *at, struct frame *f)
{
    f->before = at;
    f->next = at ? at->next : q->first;
    *(at ? &at->next : &q->first) = f;
    *(f->next ? &f->next->before : &q->last) = f;
    q->bytes += sizeof(*f) + f->len;
}

void frames_insert(struct frames *q, struct frame *f)
{
    struct frame *at = q->last;
    while (at && at->when > f->when)
        at = at->before;
    link_after(q, at, f);
}

void frames_put_back(struct frames *q, struct frame *f)
{
    link_after(q, NULL, f);
}

struct frame *frames_take_due(struct frames *q, uint64_t now)
{
    struct frame *f = q->first && q->first->when <= now ? q->first : NULL;
    if (f) {
        q->first = f->next;
        *(f->next ? &f->next->before : &q->last) = NULL;
        q->bytes -= sizeof(*f) + f->len;
    }
    return f;
}

void frames_clear(struct frames *q)
{
    for (struct frame *f = q->first, *next; f; f = next) {
        next = f->next;
        free(f);
    }
    *q = (struct frames){0};
}
