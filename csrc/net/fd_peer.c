/* Frames over a file descriptor: QEMU's `-netdev stream` (32-bit big-endian length, then the frame) and
 * `-netdev dgram` (a message is a frame), and /dev/net/tun.
 *
 * One thread per peer reads and flushes. A sender never waits: it writes what the descriptor takes at once;
 * the rest of a frame that was begun on a stream is kept for the thread, and while something is kept, whole
 * frames queue behind it up to a limit and are dropped past it. A stream that announces a frame longer than
 * any is not a stream of frames: it is read no further. Leaves out reconnecting, which is Python's. */
#define _GNU_SOURCE
#include "net/fd_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmk_api.h"

#define PREFIX 4u
#define IN_BYTES (256u << 10)
#define OUT_BYTES (1u << 20)

struct fd_peer {
    struct net_sink sink;
    int fd, wake;
    enum vmk_framing framing;
    pthread_t thread;
    atomic_bool stop;
    bool in_done;         /* end of the stream or garbage: not read any more */
    uint8_t *in;          /* stream: bytes not yet a whole frame */
    size_t in_len;
    pthread_mutex_t lock; /* of all below */
    uint8_t *out;         /* stream: bytes the socket did not take yet */
    size_t out_len;
    bool out_done;        /* the other end is gone */
};

static void kick(struct fd_peer *p)
{
    uint64_t one = 1;
    if (write(p->wake, &one, sizeof(one)) < 0)
        return; /* the counter is full: the thread is awake */
}

/* ---- out, on the sender's thread ---- */

static void keep(struct fd_peer *p, const uint8_t *bytes, size_t len)
{
    memcpy(p->out + p->out_len, bytes, len);
    p->out_len += len;
}

/* All of a frame or nothing: half a frame would put the stream out of step for ever. */
static void send_stream(struct fd_peer *p, const uint8_t *frame, size_t len)
{
    uint8_t prefix[PREFIX] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    struct iovec iov[2] = {{prefix, PREFIX}, {(void *)(uintptr_t)frame, len}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    size_t done = 0;
    if (p->out_done || p->out_len + PREFIX + len > OUT_BYTES)
        return;
    if (!p->out_len) {
        ssize_t n = sendmsg(p->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            p->out_done = true;
            return;
        }
        done = n > 0 ? (size_t)n : 0;
        if (done == PREFIX + len)
            return;
    }
    if (done < PREFIX) {
        keep(p, prefix + done, PREFIX - done);
        done = PREFIX;
    }
    keep(p, frame + (done - PREFIX), len - (done - PREFIX));
    kick(p);
}

/* A message that does not fit now is lost, as on any cable; so is one to an end that is not there yet. */
static void send_message(struct fd_peer *p, const uint8_t *frame, size_t len)
{
    ssize_t n;
    do {
        n = p->framing == VMK_FRAMING_TAP ? write(p->fd, frame, len)
                                          : send(p->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
}

static void peer_send(void *ctx, const uint8_t *frame, size_t len, uint64_t now)
{
    struct fd_peer *p = ctx;
    (void)now;
    pthread_mutex_lock(&p->lock);
    if (p->framing == VMK_FRAMING_STREAM)
        send_stream(p, frame, len);
    else
        send_message(p, frame, len);
    pthread_mutex_unlock(&p->lock);
}

/* ---- in, and what was kept, on the peer's thread ---- */

static void flush(struct fd_peer *p)
{
    pthread_mutex_lock(&p->lock);
    ssize_t n = p->out_len ? send(p->fd, p->out, p->out_len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (n > 0) {
        memmove(p->out, p->out + n, p->out_len - (size_t)n);
        p->out_len -= (size_t)n;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        p->out_done = true;
        p->out_len = 0;
    }
    pthread_mutex_unlock(&p->lock);
}

/* Hands on every whole frame in `in`. False: what follows is no frame. */
static bool take_frames(struct fd_peer *p)
{
    size_t at = 0;
    bool sane = true;
    while (p->in_len - at >= PREFIX) {
        const uint8_t *b = p->in + at;
        size_t len = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
        sane = len <= NET_FRAME_MAX;
        if (!sane || p->in_len - at - PREFIX < len)
            break;
        sink_take(&p->sink, b + PREFIX, len, 0);
        at += PREFIX + len;
    }
    memmove(p->in, p->in + at, p->in_len - at);
    p->in_len -= at;
    return sane;
}

static void read_stream(struct fd_peer *p)
{
    ssize_t n = recv(p->fd, p->in + p->in_len, IN_BYTES - p->in_len, MSG_DONTWAIT);
    if (n > 0) {
        p->in_len += (size_t)n;
        p->in_done = !take_frames(p);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        p->in_done = true;
    }
}

/* A message longer than a frame is cut by the kernel to one byte more, and dropped. */
static void read_message(struct fd_peer *p)
{
    ssize_t n = p->framing == VMK_FRAMING_TAP ? read(p->fd, p->in, NET_FRAME_MAX + 1)
                                              : recv(p->fd, p->in, NET_FRAME_MAX + 1, MSG_DONTWAIT);
    if (n > 0 && n <= NET_FRAME_MAX)
        sink_take(&p->sink, p->in, (size_t)n, 0);
    else if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED && errno != ENOBUFS)
        p->in_done = true;
}

static short wanted(struct fd_peer *p)
{
    pthread_mutex_lock(&p->lock);
    short events = p->out_len ? POLLOUT : 0;
    pthread_mutex_unlock(&p->lock);
    return (short)(events | (p->in_done ? 0 : POLLIN));
}

static void drain_wake(struct fd_peer *p)
{
    uint64_t count;
    if (read(p->wake, &count, sizeof(count)) < 0)
        return; /* another wake-up has read it */
}

static void *work(void *ctx)
{
    struct fd_peer *p = ctx;
    while (!atomic_load(&p->stop)) {
        short events = wanted(p);
        /* A descriptor without events would still report a hang-up, for ever: it is left out. */
        struct pollfd fds[2] = {{p->wake, POLLIN, 0}, {events ? p->fd : -1, events, 0}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents)
            drain_wake(p);
        if (fds[1].revents & (POLLOUT | POLLERR | POLLHUP))
            flush(p);
        if (fds[1].revents & (POLLIN | POLLERR | POLLHUP) && !p->in_done)
            p->framing == VMK_FRAMING_STREAM ? read_stream(p) : read_message(p);
    }
    return NULL;
}

/* ---- life ---- */

static void release(struct fd_peer *p)
{
    if (p->wake >= 0)
        close(p->wake);
    close(p->fd);
    pthread_mutex_destroy(&p->lock);
    free(p->in);
    free(p->out);
    free(p);
}

static void peer_close(void *ctx)
{
    struct fd_peer *p = ctx;
    atomic_store(&p->stop, true);
    kick(p);
    pthread_join(p->thread, NULL);
    flush(p);
    release(p);
}

static bool set_up(struct fd_peer *p)
{
    int flags = fcntl(p->fd, F_GETFL);
    pthread_mutex_init(&p->lock, NULL);
    p->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    p->in = malloc(p->framing == VMK_FRAMING_STREAM ? IN_BYTES : NET_FRAME_MAX + 1);
    p->out = p->framing == VMK_FRAMING_STREAM ? malloc(OUT_BYTES) : NULL;
    return flags >= 0 && fcntl(p->fd, F_SETFL, flags | O_NONBLOCK) >= 0 && p->wake >= 0 && p->in &&
           (p->out || p->framing != VMK_FRAMING_STREAM) && pthread_create(&p->thread, NULL, work, p) == 0;
}

int fd_peer_open(const struct net_sink *sink, int fd, enum vmk_framing framing, struct net_peer *out)
{
    struct fd_peer *p = fd >= 0 && framing <= VMK_FRAMING_TAP ? calloc(1, sizeof(*p)) : NULL;
    if (!p) {
        if (fd >= 0)
            close(fd);
        return VMK_EINVAL;
    }
    p->sink = *sink;
    p->fd = fd;
    p->framing = framing;
    if (!set_up(p)) {
        release(p);
        return VMK_ENOMEM;
    }
    *out = (struct net_peer){.send = peer_send, .close = peer_close, .ctx = p};
    return VMK_OK;
}
