/* A cable that ends in a file descriptor: a stream or datagram socket, a TAP. */
#ifndef VMK_NET_FD_PEER_H
#define VMK_NET_FD_PEER_H

#include "net/cable.h"
#include "vmk_net.h"

/* Takes `fd`, also when it fails. 0, VMK_EINVAL or VMK_ENOMEM. */
int fd_peer_open(const struct net_sink *sink, int fd, enum vmk_framing framing, struct net_peer *out);

#endif
