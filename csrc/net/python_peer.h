/* A cable that ends in Python: frames out become calls, frames in come through the API. */
#ifndef VMK_NET_PYTHON_PEER_H
#define VMK_NET_PYTHON_PEER_H

#include "net/cable.h"
#include "vmk_net.h"

int python_peer_open(vmk_frame_fn *frame, uint64_t token, struct net_peer *out);

#endif
