/* The inbox: a bounded queue behind a mutex. Traffic is a few messages per millisecond, so a lock costs
 * nothing that is felt; what matters is that order is kept and that the vCPU thread never waits for a sender.
 */
#include "core/inbox.h"

#include <string.h>
#include <time.h>

void inbox_init(struct inbox *in)
{
    pthread_condattr_t attr;
    memset(in, 0, sizeof(*in));
    pthread_mutex_init(&in->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&in->arrived, &attr);
    pthread_condattr_destroy(&attr);
}

void inbox_destroy(struct inbox *in)
{
    pthread_cond_destroy(&in->arrived);
    pthread_mutex_destroy(&in->lock);
}

static struct inbox_msg *at(struct inbox *in, uint32_t i)
{
    return &in->slot[(in->head + i) % INBOX_SLOTS];
}

int inbox_post(struct inbox *in, const struct inbox_msg *msg)
{
    int rc = -1;
    pthread_mutex_lock(&in->lock);
    if (in->count < INBOX_SLOTS) {
        *at(in, in->count++) = *msg;
        atomic_store(&in->news, true);
        pthread_cond_broadcast(&in->arrived);
        rc = 0;
    }
    pthread_mutex_unlock(&in->lock);
    return rc;
}

bool inbox_take(struct inbox *in, uint64_t now, struct inbox_msg *out)
{
    bool found = false;
    pthread_mutex_lock(&in->lock);
    for (uint32_t i = 0; i < in->count && !found; i++) {
        if (at(in, i)->when > now)
            continue;
        *out = *at(in, i);
        for (uint32_t j = i; j > 0; j--)
            *at(in, j) = *at(in, j - 1);
        in->head = (in->head + 1) % INBOX_SLOTS;
        in->count--;
        found = true;
    }
    pthread_mutex_unlock(&in->lock);
    return found;
}

uint64_t inbox_deadline(struct inbox *in)
{
    uint64_t first = UINT64_MAX;
    pthread_mutex_lock(&in->lock);
    for (uint32_t i = 0; i < in->count; i++)
        if (at(in, i)->when < first)
            first = at(in, i)->when;
    pthread_mutex_unlock(&in->lock);
    return first;
}
