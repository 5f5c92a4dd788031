/* A virtual switch as ESX has them: ports in portgroups (VLANs), addresses learned, nothing configured. */
#ifndef VMK_NET_SWITCH_H
#define VMK_NET_SWITCH_H

#include "net/cable.h"
#include "vmk_net.h"

#define SWITCH_PORTS 64

/* A new port: its number and, in *sink, where its frames go in. VMK_EBUSY: all ports are taken. The port
 * forwards nothing out before switch_connect(). */
int switch_add(struct vmk_switch *sw, uint32_t vlan, struct net_sink *sink);
/* What takes the frames of a port; `peer` is closed with the port. `now` of its send() is the time of
 * arrival. */
void switch_connect(struct vmk_switch *sw, int port, const struct net_peer *peer);
/* Forget a port. No frame goes to it after this call; its peer is closed. */
int switch_remove(struct vmk_switch *sw, int port);

/* One user more or less; the last one's leaving ends the switch. */
void switch_hold(struct vmk_switch *sw);
void switch_drop(struct vmk_switch *sw);

#endif
