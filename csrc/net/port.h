/* A NIC's port: frames out to whatever it is plugged into, frames in at reproducible moments.
 *
 * The chip's side runs on the vCPU thread only. Out: net_send() hands a whole frame to the peer, or drops
 * it and counts it when nothing is plugged in or the link is down. In: net_deliver() takes a frame from any
 * thread and queues it, stamped with the VM time from which the chip may see it; the board's deadline hands
 * it to the chip, or keeps it while the chip has no buffers. The queue is bounded: what does not fit is
 * dropped and counted, as a switch would.
 *
 * What is plugged in is a `struct net_peer` (a switch port, a socket, a TAP, Python); see the other files
 * of this folder. A capture sees what the chip sends and what it takes; the bad line (net/impair.h) is
 * between that and the peer. Both act on the vCPU thread, in VM time. */
#ifndef VMK_NET_PORT_H
#define VMK_NET_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;
struct dev;
struct net_impair;
struct net_port;
struct vmk_net_counters;

#define NET_FRAME_MAX 16384 /* without FCS; jumbo frames included */
#define NET_QUEUE_BYTES (1u << 20)

/* The other end. send() runs on the sender's vCPU thread, must not block and must not keep
 * `frame`; `now` is the sender's VM time in ns. close() ends every thread that could still call
 * net_deliver(). */
struct net_peer {
    void (*send)(void *ctx, const uint8_t *frame, size_t len, uint64_t now);
    void (*close)(void *ctx);
    void *ctx;
    void (*alarm)(void *ctx, uint64_t now); /* the time of net_alarm() has come; may be NULL */
};

/* How a chip takes a frame: true if it is done with it (stored, filtered or counted as an error), false to
 * be asked again after net_ready(). Frames are 14 to NET_FRAME_MAX bytes; shorter than 60 is possible. */
typedef bool net_receive_fn(struct dev *d, const uint8_t *frame, size_t len);
typedef void net_link_fn(struct dev *d, bool up);

/* The chip's side. net_attach() in its init slot; the port lives as long as the board. */
struct net_port *net_attach(struct board *b, struct dev *chip, net_receive_fn *receive, net_link_fn *link);
void net_detach(struct net_port *p); /* in the chip's destroy slot; closes the peer */
void net_send(struct net_port *p, const uint8_t *frame, size_t len);
void net_ready(struct net_port *p); /* receive buffers are there (again) */
bool net_link_up(const struct net_port *p);
uint64_t net_deadline(struct net_port *p);          /* for the chip's deadline slot */
void net_run_due(struct net_port *p, uint64_t now); /* for its tick slot */
void net_event(struct net_port *p);                 /* for its event slot, on INBOX_FRAME */

/* The outside. net_plug() replaces the peer (NULL: unplugged; the link goes down) while the VM does not
 * run. */
void net_plug(struct net_port *p, const struct net_peer *peer);
void net_set_link(struct net_port *p, bool up); /* a cable that is pulled; vCPU thread or not running */
/* From any thread: 0, or VMK_EBUSY when the queue is full and the frame was dropped. `when` 0: at once. */
int net_deliver(struct net_port *p, const uint8_t *frame, size_t len, uint64_t when);
/* From within the peer's send() or alarm(): one alarm at VM time `when`, in place of any before. */
void net_alarm(struct net_port *p, uint64_t when);
void net_counters(struct net_port *p, struct vmk_net_counters *out);

/* Every frame the chip sends and every one it is done with, on the vCPU thread; NULL ends it. close() when it
 * is replaced. While the VM does not run, as net_impair(), which makes the line bad in both directions. */
struct net_watcher {
    void (*saw)(void *ctx, bool inbound, const uint8_t *frame, size_t len, uint64_t now);
    void (*close)(void *ctx);
    void *ctx;
};
void net_watch(struct net_port *p, const struct net_watcher *watcher);
void net_impair(struct net_port *p, const struct net_impair *out, const struct net_impair *in);

/* A board's NICs in order, NULL past the last. */
struct net_port *net_port_of(struct board *b, unsigned nic);

#endif
