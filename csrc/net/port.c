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
#include "net/frames.h"
#include "net/impair.h"

#define MIN_FRAME 14 /* two addresses and a type */

struct net_port {
    struct board *board;
    struct dev *chip;
    net_receive_fn *receive;
    net_link_fn *link;
    struct net_peer peer;
    bool plugged, cable;        /* the link is up when both are */
    bool stalled;               /* the chip had no buffers: wait for net_ready() */
    unsigned nic;
    pthread_mutex_t lock;       /* of the queue in and of what other threads count */
    struct frames in;
    struct frames out;          /* held up by a bad line; vCPU thread only */
    uint64_t alarm;             /* the peer's, or DEV_NEVER */
    struct net_watcher watcher;
    struct net_impair line_in, line_out;
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
    *p = (struct net_port){.board = b, .chip = chip, .receive = receive, .link = link, .cable = true,
                            .alarm = DEV_NEVER};
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
    frames_clear(&p->in);
    p->stalled = false;
    pthread_mutex_unlock(&p->lock);
    frames_clear(&p->out);
}

static void unplug(struct net_port *p)
{
    if (p->plugged && p->peer.close)
        p->peer.close(p->peer.ctx);
    p->plugged = false;
    p->peer = (struct net_peer){0};
    p->alarm = DEV_NEVER;
    forget_frames(p);
}

void net_detach(struct net_port *p)
{
    if (!p)
        return;
    unplug(p);
    net_watch(p, NULL);
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

void net_watch(struct net_port *p, const struct net_watcher *watcher)
{
    if (p->watcher.close)
        p->watcher.close(p->watcher.ctx);
    p->watcher = watcher ? *watcher : (struct net_watcher){0};
}

void net_impair(struct net_port *p, const struct net_impair *out, const struct net_impair *in)
{
    p->line_out = *out;
    p->line_in = *in;
}

static void watch(struct net_port *p, bool inbound, const uint8_t *frame, size_t len)
{
    if (p->watcher.saw)
        p->watcher.saw(p->watcher.ctx, inbound, frame, len, board_now(p->board));
}

static bool is_bad(const struct net_impair *line)
{
    return line->loss || line->corrupt || line->delay;
}

/* ---- frames out ---- */

static void send_on_bad_line(struct net_port *p, const uint8_t *frame, size_t len)
{
    uint64_t now = board_now(p->board);
    struct frame *f = frames_fit(&p->out, len, NET_QUEUE_BYTES) ? frame_new(frame, len, now) : NULL;
    if (!f || !impair_frame(&p->line_out, f->bytes, len)) {
        free(f);
        return;
    }
    f->when += p->line_out.delay;
    frames_insert(&p->out, f);
}

static void send_due(struct net_port *p, uint64_t now)
{
    for (struct frame *f; (f = frames_take_due(&p->out, now)); free(f))
        if (net_link_up(p))
            p->peer.send(p->peer.ctx, f->bytes, f->len, f->when);
}

void net_send(struct net_port *p, const uint8_t *frame, size_t len)
{
    if (!net_link_up(p) || len < MIN_FRAME || len > NET_FRAME_MAX) {
        p->count.tx_dropped++;
        return;
    }
    p->count.tx_frames++;
    p->count.tx_bytes += len;
    watch(p, false, frame, len);
    if (is_bad(&p->line_out))
        send_on_bad_line(p, frame, len);
    else
        p->peer.send(p->peer.ctx, frame, len, board_now(p->board));
}

/* ---- frames in ---- */

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
    if (!frames_fit(&p->in, f->len, NET_QUEUE_BYTES) || announce(p)) {
        p->refused++;
        return VMK_EBUSY;
    }
    frames_insert(&p->in, f);
    return VMK_OK;
}

int net_deliver(struct net_port *p, const uint8_t *frame, size_t len, uint64_t when)
{
    if (len < MIN_FRAME || len > NET_FRAME_MAX)
        return VMK_EINVAL;
    struct frame *f = frame_new(frame, len, when);
    if (!f)
        return VMK_ENOMEM;
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
    uint64_t out = p->out.first ? p->out.first->when : DEV_NEVER;
    pthread_mutex_lock(&p->lock);
    uint64_t in = p->in.first && !p->stalled ? p->in.first->when : DEV_NEVER;
    pthread_mutex_unlock(&p->lock);
    uint64_t first = in < out ? in : out;
    return first < p->alarm ? first : p->alarm;
}

static struct frame *take_due(struct net_port *p, uint64_t now)
{
    pthread_mutex_lock(&p->lock);
    struct frame *f = frames_take_due(&p->in, now);
    pthread_mutex_unlock(&p->lock);
    return f;
}

static void put_back(struct net_port *p, struct frame *f)
{
    pthread_mutex_lock(&p->lock);
    frames_put_back(&p->in, f);
    p->stalled = true;
    pthread_mutex_unlock(&p->lock);
}

/* Lost, or on its way for a while longer: true, and the frame is not the caller's any more. */
static bool take_by_bad_line(struct net_port *p, struct frame *f, uint64_t now)
{
    f->impaired = true;
    if (!impair_frame(&p->line_in, f->bytes, f->len)) {
        free(f);
        return true;
    }
    if (!p->line_in.delay)
        return false;
    f->when = now + p->line_in.delay;
    pthread_mutex_lock(&p->lock);
    frames_insert(&p->in, f);
    pthread_mutex_unlock(&p->lock);
    return true;
}

static bool hand_over(struct net_port *p, const struct frame *f)
{
    if (!net_link_up(p)) {
        p->count.rx_dropped++;
        return true;
    }
    if (!p->receive(p->chip, f->bytes, f->len))
        return false;
    watch(p, true, f->bytes, f->len);
    p->count.rx_frames++;
    p->count.rx_bytes += f->len;
    return true;
}

void net_alarm(struct net_port *p, uint64_t when)
{
    p->alarm = when;
}

static void run_alarm(struct net_port *p, uint64_t now)
{
    if (p->alarm > now)
        return;
    p->alarm = DEV_NEVER;
    if (p->peer.alarm)
        p->peer.alarm(p->peer.ctx, now);
}

void net_run_due(struct net_port *p, uint64_t now)
{
    struct frame *f;
    send_due(p, now);
    run_alarm(p, now);
    while (!p->stalled && (f = take_due(p, now))) {
        if (!f->impaired && is_bad(&p->line_in) && take_by_bad_line(p, f, now))
            continue;
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
