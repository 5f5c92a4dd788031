/* The user-mode network behind a cable: libslirp turns the guest's frames into this process's own sockets.
 *
 * The library is loaded by Python, which hands over its functions; the structures of its interface, version 1
 * (libslirp.h, 4.x), are declared here. It is not thread-safe: one lock stands around all of it. A thread of
 * our own waits for the sockets. What the library has for the guest is handed on when that lock is free
 * again: the other end of the cable has a lock too, which the guest's frames come through. Those enter on the
 * sender's thread, so answers that need no socket (ARP, DHCP) are there when the send returns; but while data
 * of sockets is being moved, which takes longer than a guest should stand still for an acknowledgement, they
 * queue for our thread. Time is the host's, as is the network. Leaves out IPv6 and the library's TFTP server
 * (the boot server is our own). */
#define _GNU_SOURCE
#include "net/user.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "net/frames.h"
#include "net/port.h"
#include "vmk_api.h"

#define MAX_FDS 1024u
#define LONGEST_WAIT 1000u /* ms */
#define TIMERS 8

enum { SLIRP_IN = 1, SLIRP_OUT = 2, SLIRP_PRI = 4, SLIRP_ERR = 8, SLIRP_HUP = 16 };

typedef void timer_fn(void *opaque);

/* The library's interface as its ABI has it; unused fields keep their places. */
struct slirp_callbacks {
    ssize_t (*send_packet)(const void *frame, size_t len, void *opaque);
    void (*guest_error)(const char *text, void *opaque);
    int64_t (*clock_get_ns)(void *opaque);
    void *(*timer_new)(timer_fn *fn, void *arg, void *opaque);
    void (*timer_free)(void *timer, void *opaque);
    void (*timer_mod)(void *timer, int64_t expires_ms, void *opaque);
    void (*register_poll_fd)(int fd, void *opaque);
    void (*unregister_poll_fd)(int fd, void *opaque);
    void (*notify)(void *opaque);
    void *later_versions[2];
};

struct slirp_settings {
    uint32_t version;
    int restricted;
    bool ipv4;
    struct in_addr network, mask, host;
    bool ipv6;
    struct in6_addr prefix6;
    uint8_t prefix6_len;
    struct in6_addr host6;
    const char *hostname, *tftp_name, *tftp_path, *boot_file;
    struct in_addr first_lease, name_server;
    struct in6_addr name_server6;
    const char **search;
    const char *domain;
    size_t mtu, mru;
    bool no_loopback, emulation;
    void *later_versions[4];
};

struct slirp_functions {
    void *(*create)(const struct slirp_settings *, const struct slirp_callbacks *, void *opaque);
    void (*cleanup)(void *slirp);
    void (*pollfds_fill)(void *slirp, uint32_t *timeout, int (*add)(int, int, void *), void *opaque);
    void (*pollfds_poll)(void *slirp, int failed, int (*revents)(int, void *), void *opaque);
    void (*input)(void *slirp, const uint8_t *frame, int len);
    int (*add_hostfwd)(void *slirp, int udp, struct in_addr host, int host_port, struct in_addr guest,
                       int guest_port);
};

struct timer {
    timer_fn *fn; /* NULL: free */
    void *arg;
    int64_t due;  /* ms, or INT64_MAX */
};

struct user {
    struct net_sink sink;
    struct slirp_functions lib;
    struct slirp_callbacks callbacks;
    void *slirp;
    pthread_mutex_t lock;      /* of the library */
    pthread_mutex_t tray_lock; /* of both trays; taken alone or under `lock` */
    struct frames tray;        /* the guest's, for whoever has `lock` */
    struct frames out;         /* for the guest, for whoever has just let go of `lock` */
    bool handing_out;          /* somebody does, and will see what is added */
    pthread_t thread;
    bool running;
    atomic_bool stop, moving; /* moving: data of sockets */
    int wake;
    struct timer timer[TIMERS];
    struct pollfd fds[MAX_FDS]; /* the first is `wake` */
    nfds_t nfds;
};

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void kick(struct user *u)
{
    uint64_t one = 1;
    if (write(u->wake, &one, sizeof(one)) < 0)
        return; /* the counter is full: the thread is awake */
}

/* ---- the trays ---- */

/* What does not fit is lost, as on a wire. */
static void put(struct user *u, struct frames *tray, const void *bytes, size_t len)
{
    struct frame *f = frame_new(bytes, len, 0);
    if (!f)
        return;
    pthread_mutex_lock(&u->tray_lock);
    bool fits = frames_fit(tray, len, NET_QUEUE_BYTES);
    if (fits)
        frames_insert(tray, f);
    pthread_mutex_unlock(&u->tray_lock);
    if (!fits)
        free(f);
}

static struct frame *take_from(struct user *u, struct frames *tray)
{
    pthread_mutex_lock(&u->tray_lock);
    struct frame *f = frames_take_due(tray, UINT64_MAX);
    pthread_mutex_unlock(&u->tray_lock);
    return f;
}

/* Under the lock. */
static void empty_tray(struct user *u)
{
    for (struct frame *f; (f = take_from(u, &u->tray)); free(f))
        u->lib.input(u->slirp, f->bytes, (int)f->len);
}

/* The next one for the guest; NULL ends the handing out in the same step. */
static struct frame *next_out(struct user *u)
{
    pthread_mutex_lock(&u->tray_lock);
    struct frame *f = frames_take_due(&u->out, UINT64_MAX);
    u->handing_out = f;
    pthread_mutex_unlock(&u->tray_lock);
    return f;
}

/* Without the lock. One at a time, so that frames stay in order. */
static void hand_out(struct user *u)
{
    pthread_mutex_lock(&u->tray_lock);
    bool other = u->handing_out;
    u->handing_out = true;
    pthread_mutex_unlock(&u->tray_lock);
    if (other)
        return;
    for (struct frame *f; (f = next_out(u)); free(f))
        sink_take(&u->sink, f->bytes, f->len, 0);
}

/* ---- what the library calls, under the lock ---- */

static ssize_t on_packet(const void *frame, size_t len, void *opaque)
{
    struct user *u = opaque;
    put(u, &u->out, frame, len);
    return (ssize_t)len;
}

static void on_guest_error(const char *text, void *opaque) { (void)text, (void)opaque; }
static int64_t on_clock(void *opaque) { (void)opaque; return now_ns(); }
static void on_fd(int fd, void *opaque) { (void)fd, (void)opaque; }
static void on_notify(void *opaque) { kick(opaque); }

static void *on_timer_new(timer_fn *fn, void *arg, void *opaque)
{
    struct user *u = opaque;
    for (unsigned i = 0; i < TIMERS; i++)
        if (!u->timer[i].fn) {
            u->timer[i] = (struct timer){.fn = fn, .arg = arg, .due = INT64_MAX};
            return &u->timer[i];
        }
    return NULL;
}

static void on_timer_free(void *timer, void *opaque)
{
    (void)opaque;
    if (timer)
        *(struct timer *)timer = (struct timer){0};
}

static void on_timer_mod(void *timer, int64_t expires_ms, void *opaque)
{
    if (timer)
        ((struct timer *)timer)->due = expires_ms;
    kick(opaque);
}

static int on_add_poll(int fd, int events, void *opaque)
{
    struct user *u = opaque;
    if (u->nfds == MAX_FDS)
        return -1;
    u->fds[u->nfds] = (struct pollfd){
        .fd = fd,
        .events = (short)((events & SLIRP_IN ? POLLIN : 0) | (events & SLIRP_OUT ? POLLOUT : 0) |
                          (events & SLIRP_PRI ? POLLPRI : 0)),
    };
    return (int)u->nfds++;
}

static int on_revents(int index, void *opaque)
{
    const struct user *u = opaque;
    if (index <= 0 || (nfds_t)index >= u->nfds)
        return 0;
    short r = u->fds[index].revents;
    return (r & POLLIN ? SLIRP_IN : 0) | (r & POLLOUT ? SLIRP_OUT : 0) | (r & POLLPRI ? SLIRP_PRI : 0) |
           (r & POLLERR ? SLIRP_ERR : 0) | (r & POLLHUP ? SLIRP_HUP : 0);
}

static const struct slirp_callbacks our_callbacks = {
    .send_packet = on_packet,
    .guest_error = on_guest_error,
    .clock_get_ns = on_clock,
    .timer_new = on_timer_new,
    .timer_free = on_timer_free,
    .timer_mod = on_timer_mod,
    .register_poll_fd = on_fd,
    .unregister_poll_fd = on_fd,
    .notify = on_notify,
};

/* ---- our thread ---- */

static uint32_t until_timer(const struct user *u, uint32_t wait)
{
    int64_t now = now_ns() / 1000000;
    for (unsigned i = 0; i < TIMERS; i++) {
        int64_t left = u->timer[i].fn && u->timer[i].due != INT64_MAX ? u->timer[i].due - now : wait;
        if (left < (int64_t)wait)
            wait = left > 0 ? (uint32_t)left : 0;
    }
    return wait;
}

static void run_timers(struct user *u)
{
    int64_t now = now_ns() / 1000000;
    for (unsigned i = 0; i < TIMERS; i++) {
        struct timer *t = &u->timer[i];
        if (!t->fn || t->due > now)
            continue;
        t->due = INT64_MAX;
        t->fn(t->arg);
    }
}

static void *work(void *ctx)
{
    struct user *u = ctx;
    while (!atomic_load(&u->stop)) {
        uint32_t wait = LONGEST_WAIT;
        uint64_t count;
        pthread_mutex_lock(&u->lock);
        empty_tray(u);
        u->nfds = 1;
        u->lib.pollfds_fill(u->slirp, &wait, on_add_poll, u);
        wait = until_timer(u, wait < LONGEST_WAIT ? wait : LONGEST_WAIT);
        pthread_mutex_unlock(&u->lock);
        hand_out(u);
        int ready = poll(u->fds, u->nfds, (int)wait), failed = ready < 0;
        if (!failed && u->fds[0].revents && read(u->wake, &count, sizeof(count)) < 0)
            continue;
        atomic_store(&u->moving, ready > (u->fds[0].revents != 0));
        pthread_mutex_lock(&u->lock);
        empty_tray(u); /* acknowledgements make room for what the sockets have */
        u->lib.pollfds_poll(u->slirp, failed, on_revents, u);
        run_timers(u);
        pthread_mutex_unlock(&u->lock);
        atomic_store(&u->moving, false);
        hand_out(u);
    }
    return NULL;
}

/* ---- the cable ---- */

static void peer_send(void *ctx, const uint8_t *frame, size_t len, uint64_t now)
{
    struct user *u = ctx;
    (void)now;
    put(u, &u->tray, frame, len);
    if (!atomic_load(&u->moving)) {
        pthread_mutex_lock(&u->lock);
        empty_tray(u);
        pthread_mutex_unlock(&u->lock);
        hand_out(u);
    }
    kick(u); /* new sockets to wait for, or what is in the tray */
}

static void peer_close(void *ctx)
{
    struct user *u = ctx;
    atomic_store(&u->stop, true);
    if (u->running) {
        kick(u);
        pthread_join(u->thread, NULL);
    }
    if (u->slirp)
        u->lib.cleanup(u->slirp);
    if (u->wake >= 0)
        close(u->wake);
    frames_clear(&u->tray);
    frames_clear(&u->out);
    pthread_mutex_destroy(&u->tray_lock);
    pthread_mutex_destroy(&u->lock);
    free(u);
}

static struct in_addr address(uint32_t host_order)
{
    return (struct in_addr){.s_addr = htonl(host_order)};
}

static void *create(struct user *u, const struct vmk_user_config *c)
{
    struct slirp_settings s = {
        .version = 1,
        .ipv4 = true,
        .network = address(c->network),
        .mask = address(c->mask),
        .host = address(c->gateway),
        .hostname = "vmm",
        .first_lease = address(c->first_lease),
        .name_server = address(c->name_server),
    };
    return u->lib.create(&s, &u->callbacks, u);
}

static int forward(struct user *u, const struct vmk_user_config *c, struct vmk_net_error *error)
{
    for (uint32_t i = 0; i < c->forwards && i < 32; i++) {
        const struct vmk_forward *f = &c->forward[i];
        if (u->lib.add_hostfwd(u->slirp, f->udp != 0, address(f->host_address), (int)f->host_port,
                               address(c->first_lease), (int)f->guest_port) == 0)
            continue;
        snprintf(error->text, sizeof(error->text), "%s port %u of the host: %s", f->udp ? "UDP" : "TCP",
                 f->host_port, strerror(errno));
        return VMK_EINVAL;
    }
    return VMK_OK;
}

static struct slirp_functions functions(const struct vmk_slirp *lib)
{
    struct slirp_functions f;
    _Static_assert(sizeof(f) == sizeof(*lib), "one pointer per function");
    memcpy(&f, lib, sizeof(f));
    return f;
}

int user_peer_open(const struct net_sink *sink, const struct vmk_slirp *lib,
                   const struct vmk_user_config *config, struct net_peer *out, struct vmk_net_error *error)
{
    struct user *u = calloc(1, sizeof(*u));
    if (!u)
        return VMK_ENOMEM;
    u->sink = *sink;
    u->lib = functions(lib);
    u->callbacks = our_callbacks;
    pthread_mutex_init(&u->lock, NULL);
    pthread_mutex_init(&u->tray_lock, NULL);
    u->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    u->fds[0] = (struct pollfd){.fd = u->wake, .events = POLLIN};
    u->slirp = u->wake >= 0 ? create(u, config) : NULL;
    int rc = u->slirp ? forward(u, config, error) : VMK_ENOMEM;
    if (!rc)
        u->running = pthread_create(&u->thread, NULL, work, u) == 0;
    if (!u->running) {
        peer_close(u);
        return rc ? rc : VMK_ENOMEM;
    }
    *out = (struct net_peer){.send = peer_send, .close = peer_close, .ctx = u};
    return VMK_OK;
}
