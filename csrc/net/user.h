/* The user-mode network: NAT, DHCP and DNS without privileges, by libslirp. */
#ifndef VMK_NET_USER_H
#define VMK_NET_USER_H

#include "net/cable.h"
#include "vmk_net.h"

/* VMK_EBUSY: a forwarded port cannot be had; error says which and why. */
int user_peer_open(const struct net_sink *sink, const struct vmk_slirp *lib,
                   const struct vmk_user_config *config, struct net_peer *out, struct vmk_net_error *error);

#endif
