/* The peer that is Python: frames the guest sent wait in a bounded queue until they are taken, and a run that
 * watches for them ends (vmk_run.watch_frames). Answers go back with net_deliver(). */
#ifndef VMK_NET_QUEUE_PEER_H
#define VMK_NET_QUEUE_PEER_H

#include <stddef.h>
#include <stdint.h>

struct board;

#define QUEUE_PEER_BYTES (8u << 20)

/* Plugs one into NIC `nic`, in place of what was there. 0, or a negative vmk_error with board->error set. */
int queue_peer_plug(struct board *b, unsigned nic);

/* The oldest frame into `buffer`, and when it was sent into *when: its length, or 0 if there is none. A frame
 * longer than `size` is cut. Any thread. */
size_t queue_peer_take(struct board *b, unsigned nic, void *buffer, size_t size, uint64_t *when);

#endif
