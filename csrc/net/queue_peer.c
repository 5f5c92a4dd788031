/* The peer that is Python: see the header. Frames past the limit are dropped, as by a switch whose port is
 * congested; the oldest are kept. Leaves out what answers them. */
#include "net/queue_peer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/board.h"
#include "net/port.h"

struct sent {
    struct sent *next;
    uint64_t when;
    size_t len;
    uint8_t bytes[];
};

struct queue_peer {
    struct board *board;
    unsigned nic;
    pthread_mutex_t lock;
    struct sent *first, **end;
    size_t bytes;
};

static void append(struct queue_peer *q, struct sent *s)
{
    *q->end = s;
    q->end = &s->next;
    q->bytes += sizeof(*s) + s->len;
    atomic_fetch_or(&q->board->frames_out, 1u << q->nic);
}

static void peer_send(void *ctx, const uint8_t *frame, size_t len, uint64_t now)
{
    struct queue_peer *q = ctx;
    struct sent *s = malloc(sizeof(*s) + len);
    if (!s)
        return;
    *s = (struct sent){.when = now, .len = len};
    memcpy(s->bytes, frame, len);
    pthread_mutex_lock(&q->lock);
    bool room = q->bytes + sizeof(*s) + len <= QUEUE_PEER_BYTES;
    if (room)
        append(q, s);
    pthread_mutex_unlock(&q->lock);
    if (!room)
        free(s);
    q->board->cpu->request(q->board->cpu_ctx);
}

static struct sent *take_first(struct queue_peer *q)
{
    struct sent *s = q->first;
    if (!s)
        return NULL;
    q->first = s->next;
    q->bytes -= sizeof(*s) + s->len;
    if (!q->first) {
        q->end = &q->first;
        atomic_fetch_and(&q->board->frames_out, ~(1u << q->nic));
    }
    return s;
}

static void peer_close(void *ctx)
{
    struct queue_peer *q = ctx;
    for (struct sent *s; (s = take_first(q));)
        free(s);
    q->board->queue_peer[q->nic] = NULL;
    pthread_mutex_destroy(&q->lock);
    free(q);
}

int queue_peer_plug(struct board *b, unsigned nic)
{
    struct net_port *port = net_port_of(b, nic);
    struct queue_peer *q = port ? calloc(1, sizeof(*q)) : NULL;
    if (!q)
        return port ? board_fail(b, VMK_ENOMEM, "no memory for a queue of frames")
                    : board_fail(b, VMK_EINVAL, "there is no NIC %u", nic);
    *q = (struct queue_peer){.board = b, .nic = nic, .end = &q->first};
    pthread_mutex_init(&q->lock, NULL);
    net_plug(port, &(struct net_peer){.send = peer_send, .close = peer_close, .ctx = q});
    b->queue_peer[nic] = q;
    return VMK_OK;
}

size_t queue_peer_take(struct board *b, unsigned nic, void *buffer, size_t size, uint64_t *when)
{
    struct queue_peer *q = nic < BOARD_MAX_NICS ? b->queue_peer[nic] : NULL;
    if (!q)
        return 0;
    pthread_mutex_lock(&q->lock);
    struct sent *s = take_first(q);
    pthread_mutex_unlock(&q->lock);
    if (!s)
        return 0;
    size_t len = s->len < size ? s->len : size;
    memcpy(buffer, s->bytes, len);
    *when = s->when;
    free(s);
    return len;
}
