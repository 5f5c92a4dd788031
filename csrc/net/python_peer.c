/* The end of a cable that Python holds: every frame is a call with the token of its Python object. What
 * Python sends comes in by vmk_nic_give() or vmk_switch_give(), at once from within the call or at any
 * later time. */
#include "net/python_peer.h"

#include <stdlib.h>

#include "vmk_api.h"

struct python_peer {
    vmk_frame_fn *frame;
    uint64_t token;
};

static void peer_send(void *ctx, const uint8_t *frame, size_t len, uint64_t now)
{
    struct python_peer *p = ctx;
    p->frame(p->token, frame, len, now);
}

static void peer_alarm(void *ctx, uint64_t now)
{
    struct python_peer *p = ctx;
    p->frame(p->token, NULL, 0, now);
}

/* The last call for this token: Python forgets it. */
static void peer_close(void *ctx)
{
    struct python_peer *p = ctx;
    p->frame(p->token, NULL, 0, UINT64_MAX);
    free(p);
}

int python_peer_open(vmk_frame_fn *frame, uint64_t token, struct net_peer *out)
{
    struct python_peer *p = malloc(sizeof(*p));
    if (!p)
        return VMK_ENOMEM;
    *p = (struct python_peer){.frame = frame, .token = token};
    *out = (struct net_peer){.send = peer_send, .close = peer_close, .ctx = p, .alarm = peer_alarm};
    return VMK_OK;
}
