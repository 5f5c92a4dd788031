/* NIC ports: the frames on their way in, the cable, the counters, and the in-tray that wakes the vCPU.
 *
 * Owns the queue behind net_deliver(), kept in the order of the frames' times and, for equal times, of
 * arrival. Another thread may only add to it; everything else happens on the vCPU thread. A sender posts one
 * message to the inbox per look at the queue, however many frames that look will find. Frames on their way
 * are not part of a saved state, as keys on theirs are not. Leaves out what is plugged in. */
#include "net/port.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/board.h"

#define MIN_FRAME 14 /* two addresses and a type */

struct frame {
    struct frame *next, *before;
    uint64_t when;
    size_t len;
    uint8_t bytes[];
};

struct net_port {
    struct board *board;
    struct dev *chip;
    net_receive_fn *receive;
    net_link_fn *link;
    struct net_peer peer;
    bool plugged, cable;        /* the link is up when both are */
    bool stalled;               /* the chip had no buffers: wait for net_ready() */
    unsigned nic;
    pthread_mutex_t lock;       /* of the queue and of what other threads count */
    struct frame *first, *last;
    size_t bytes;               /* queued, with each frame's own overhead */
    bool announced;             /* a message in the inbox will make the chip look */
    uint64_t refused;           /* did not fit */
    struct vmk_net_counters count;
};

struct net_port *net_attach(struct board *b, struct dev *chip, net_receive_fn *receive, net_link_fn *link)
{
    unsigned nic = 0;
    while (nic < BOARD_MAX_NICS && b->nic[nic])
        nic++;
    struct net_port *p = nic < BOARD_MAX_NICS ? calloc(1, sizeof(*p)) : NULL;
    if (!p) {
        board_fail(b, VMK_ENOMEM, "%s: no room for another NIC", chip->cls->name);
        return NULL;
    }
    *p = (struct net_port){.board = b, .chip = chip, .receive = receive, .link = link, .cable = true};
    p->nic = nic;
    pthread_mutex_init(&p->lock, NULL);
    b->nic[nic] = p;
    return p;
}

struct net_port *net_port_of(struct board *b, unsigned nic)
{
    return nic < BOARD_MAX_NICS ? b->nic[nic] : NULL;
}

static void forget_frames(struct net_port *p)
{
    pthread_mutex_lock(&p->lock);
    for (struct frame *f = p->first, *next; f; f = next) {
        next = f->next;
        free(f);
    }
    p->first = p->last = NULL;
    p->bytes = 0;
    p->stalled = false;
    pthread_mutex_unlock(&p->lock);
}

static void unplug(struct net_port *p)
{
    if (p->plugged && p->peer.close)
        p->peer.close(p->peer.ctx);
    p->plugged = false;
    p->peer = (struct net_peer){0};
    forget_frames(p);
}

void net_detach(struct net_port *p)
{
    if (!p)
        return;
    unplug(p);
    p->board->nic[p->nic] = NULL;
    pthread_mutex_destroy(&p->lock);
    free(p);
}

bool net_link_up(const struct net_port *p)
{
    return p->plugged && p->cable;
}

static void tell_link(struct net_port *p, bool was)
{
    if (net_link_up(p) != was)
        p->link(p->chip, !was);
    dev_rearm(p->chip);
}

void net_plug(struct net_port *p, const struct net_peer *peer)
{
    bool was = net_link_up(p);
    unplug(p);
    if (peer)
        p->peer = *peer;
    p->plugged = peer != NULL;
    tell_link(p, was);
}

void net_set_link(struct net_port *p, bool up)
{
    bool was = net_link_up(p);
    p->cable = up;
    tell_link(p, was);
}

void net_send(struct net_port *p, const uint8_t *frame, size_t len)
{
    if (!net_link_up(p) || len < MIN_FRAME || len > NET_FRAME_MAX) {
        p->count.tx_dropped++;
        return;
    }
    p->count.tx_frames++;
    p->count.tx_bytes += len;
    p->peer.send(p->peer.ctx, frame, len, board_now(p->board));
}

/* ---- frames in ---- */

static void insert(struct net_port *p, struct frame *f)
{
    struct frame *at = p->last;
    while (at && at->when > f->when)
        at = at->before;
    f->before = at;
    f->next = at ? at->next : p->first;
    *(at ? &at->next : &p->first) = f;
    *(f->next ? &f->next->before : &p->last) = f;
    p->bytes += sizeof(*f) + f->len;
}

/* 0, or VMK_EBUSY: then nobody would look at the frame. */
static int announce(struct net_port *p)
{
    struct inbox_msg msg = {.kind = INBOX_FRAME, .dev = (int32_t)p->chip->index};
    if (p->announced)
        return VMK_OK;
    if (inbox_post(&p->board->inbox, &msg))
        return VMK_EBUSY;
    p->announced = true;
    p->board->cpu->wake(p->board->cpu_ctx);
    return VMK_OK;
}

static int enqueue(struct net_port *p, struct frame *f)
{
    if (p->bytes + sizeof(*f) + f->len > NET_QUEUE_BYTES || announce(p)) {
        p->refused++;
        return VMK_EBUSY;
    }
    insert(p, f);
    return VMK_OK;
}

int net_deliver(struct net_port *p, const uint8_t *frame, size_t len, uint64_t when)
{
    struct frame *f = len < MIN_FRAME || len > NET_FRAME_MAX ? NULL : malloc(sizeof(*f) + len);
    if (!f)
        return len < MIN_FRAME || len > NET_FRAME_MAX ? VMK_EINVAL : VMK_ENOMEM;
    *f = (struct frame){.when = when, .len = len};
    memcpy(f->bytes, frame, len);
    pthread_mutex_lock(&p->lock);
    int rc = enqueue(p, f);
    pthread_mutex_unlock(&p->lock);
    if (rc)
        free(f);
    return rc;
}

void net_event(struct net_port *p)
{
    pthread_mutex_lock(&p->lock);
    p->announced = false;
    pthread_mutex_unlock(&p->lock);
}

void net_ready(struct net_port *p)
{
    p->stalled = false;
}

uint64_t net_deadline(struct net_port *p)
{
    pthread_mutex_lock(&p->lock);
    uint64_t when = p->first && !p->stalled ? p->first->when : DEV_NEVER;
    pthread_mutex_unlock(&p->lock);
    return when;
}

static struct frame *take_due(struct net_port *p, uint64_t now)
{
    pthread_mutex_lock(&p->lock);
    struct frame *f = p->first && p->first->when <= now ? p->first : NULL;
    if (f) {
        p->first = f->next;
        *(f->next ? &f->next->before : &p->last) = NULL;
        p->bytes -= sizeof(*f) + f->len;
    }
    pthread_mutex_unlock(&p->lock);
    return f;
}

/* Before every frame that is there now: it was the first of its time. */
static void put_back(struct net_port *p, struct frame *f)
{
    pthread_mutex_lock(&p->lock);
    f->before = NULL;
    f->next = p->first;
    *(f->next ? &f->next->before : &p->last) = f;
    p->first = f;
    p->bytes += sizeof(*f) + f->len;
    p->stalled = true;
    pthread_mutex_unlock(&p->lock);
}

static bool hand_over(struct net_port *p, const struct frame *f)
{
    if (!net_link_up(p)) {
        p->count.rx_dropped++;
        return true;
    }
    if (!p->receive(p->chip, f->bytes, f->len))
        return false;
    p->count.rx_frames++;
    p->count.rx_bytes += f->len;
    return true;
}

void net_run_due(struct net_port *p, uint64_t now)
{
    struct frame *f;
    while (!p->stalled && (f = take_due(p, now))) {
        if (hand_over(p, f))
            free(f);
        else
            put_back(p, f);
    }
}

void net_counters(struct net_port *p, struct vmk_net_counters *out)
{
    pthread_mutex_lock(&p->lock);
    *out = p->count;
    out->rx_dropped += p->refused;
    pthread_mutex_unlock(&p->lock);
}
