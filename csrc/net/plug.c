/* The calls of vmk_net.h that plug something into a jack: find the jack, open the far end with the jack's
 * sink, connect both. The far ends themselves are the other files of this folder. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/vm.h"
#include "net/fd_peer.h"
#include "net/impair.h"
#include "net/pcapng.h"
#include "net/python_peer.h"
#include "net/switch.h"
#include "net/user.h"
#include "vmk_net.h"

/* A jack that was found: a NIC's port, or a fresh port of a switch. */
struct socket_end {
    struct net_port *nic;
    struct vmk_switch *sw;
    int number;
    struct net_sink sink;
};

static int fail(struct vmk_net_error *error, int code, const char *text)
{
    snprintf(error->text, sizeof(error->text), "%s", text);
    return code;
}

static int deliver(void *ctx, const uint8_t *frame, size_t len, uint64_t when)
{
    return net_deliver(ctx, frame, len, when);
}

static int find_nic(struct vm *vm, uint32_t nic, struct net_port **out, struct vmk_net_error *error)
{
    *out = net_port_of(vm->board, nic);
    return *out ? VMK_OK : fail(error, VMK_EINVAL, "there is no such NIC");
}

static int find_jack(const struct vmk_jack *jack, struct socket_end *end, struct vmk_net_error *error)
{
    *end = (struct socket_end){.sw = jack->sw};
    error->text[0] = 0;
    if (jack->vm) {
        int rc = find_nic(jack->vm, jack->nic, &end->nic, error);
        end->sink = (struct net_sink){.take = deliver, .ctx = end->nic};
        return rc;
    }
    end->number = switch_add(jack->sw, jack->vlan, &end->sink);
    if (end->number == VMK_EINVAL)
        return fail(error, VMK_EINVAL, "a VLAN is 0 to 4095");
    return end->number >= 0 ? VMK_OK : fail(error, VMK_EBUSY, "the switch has no free port");
}

/* Connects the peer, if `rc` says that it was opened, or gives the jack back. */
static int connect_end(const struct socket_end *end, int rc, const struct net_peer *peer,
                       struct vmk_net_error *error)
{
    if (rc && !end->nic)
        switch_remove(end->sw, end->number);
    if (rc && !error->text[0])
        fail(error, rc, rc == VMK_ENOMEM ? "out of memory or descriptors" : "not a usable descriptor");
    if (rc)
        return rc;
    if (end->nic)
        net_plug(end->nic, peer);
    else
        switch_connect(end->sw, end->number, peer);
    return end->nic ? VMK_OK : end->number;
}

int vmk_plug_fd(const struct vmk_jack *jack, int fd, uint32_t framing, struct vmk_net_error *error)
{
    struct socket_end end;
    struct net_peer peer;
    int rc = find_jack(jack, &end, error);
    if (rc) {
        close(fd);
        return rc;
    }
    return connect_end(&end, fd_peer_open(&end.sink, fd, framing, &peer), &peer, error);
}

int vmk_plug_user(const struct vmk_jack *jack, const struct vmk_slirp *lib,
                  const struct vmk_user_config *config, struct vmk_net_error *error)
{
    struct socket_end end;
    struct net_peer peer;
    int rc = find_jack(jack, &end, error);
    return rc ? rc : connect_end(&end, user_peer_open(&end.sink, lib, config, &peer, error), &peer, error);
}

int vmk_plug_python(const struct vmk_jack *jack, vmk_frame_fn *frame, uint64_t token,
                    struct vmk_net_error *error)
{
    struct socket_end end;
    struct net_peer peer;
    int rc = find_jack(jack, &end, error);
    return rc ? rc : connect_end(&end, python_peer_open(frame, token, &peer), &peer, error);
}

/* ---- a NIC and a switch are joined by two peers: one for each direction ---- */

struct patch {
    struct vmk_switch *sw;
    struct net_port *nic;
    struct net_sink in;
    int number;
};

static void to_switch(void *ctx, const uint8_t *frame, size_t len, uint64_t now)
{
    struct patch *p = ctx;
    sink_take(&p->in, frame, len, now);
}

static void leave_switch(void *ctx)
{
    struct patch *p = ctx;
    switch_remove(p->sw, p->number);
    switch_drop(p->sw);
    free(p);
}

static void to_nic(void *ctx, const uint8_t *frame, size_t len, uint64_t when)
{
    net_deliver(ctx, frame, len, when);
}

int vmk_plug_switch(struct vm *vm, uint32_t nic, struct vmk_switch *sw, uint32_t vlan,
                    struct vmk_net_error *error)
{
    struct vmk_jack jack = {.sw = sw, .vlan = vlan};
    struct socket_end end;
    struct net_port *port;
    int rc = find_nic(vm, nic, &port, error);
    if (!rc)
        rc = find_jack(&jack, &end, error);
    if (rc)
        return rc;
    struct patch *p = malloc(sizeof(*p));
    if (!p) {
        switch_remove(sw, end.number);
        return fail(error, VMK_ENOMEM, "out of memory");
    }
    *p = (struct patch){.sw = sw, .nic = port, .in = end.sink, .number = end.number};
    switch_hold(sw);
    net_plug(port, &(struct net_peer){.send = to_switch, .close = leave_switch, .ctx = p});
    switch_connect(sw, end.number, &(struct net_peer){.send = to_nic, .ctx = port});
    return end.number;
}

/* ---- what happens on the cable of a NIC ---- */

static void saw(void *ctx, bool inbound, const uint8_t *frame, size_t len, uint64_t now)
{
    pcapng_packet(ctx, inbound, frame, len, now);
}

static void end_capture(void *ctx)
{
    pcapng_close(ctx);
}

int vmk_capture(struct vm *vm, uint32_t nic, int fd, const char *name, struct vmk_net_error *error)
{
    struct net_port *port;
    int rc = find_nic(vm, nic, &port, error);
    if (rc && fd >= 0)
        close(fd);
    if (rc)
        return rc;
    struct pcapng *capture = fd >= 0 ? pcapng_open(fd, name) : NULL;
    if (fd >= 0 && !capture)
        return fail(error, VMK_EINVAL, "the file takes nothing");
    net_watch(port, capture ? &(struct net_watcher){.saw = saw, .close = end_capture, .ctx = capture} : NULL);
    return VMK_OK;
}

int vmk_impair(struct vm *vm, uint32_t nic, uint64_t seed, uint32_t loss, uint32_t corrupt, uint64_t delay,
               struct vmk_net_error *error)
{
    struct net_port *port;
    int rc = find_nic(vm, nic, &port, error);
    struct net_impair line = {.random = seed, .loss = loss, .corrupt = corrupt, .delay = delay};
    struct net_impair other = line;
    other.random = ~seed; /* the directions must not lose the same frames */
    if (!rc)
        net_impair(port, &line, &other);
    return rc;
}

void vmk_alarm(struct vm *vm, uint32_t nic, uint64_t when)
{
    struct net_port *port = net_port_of(vm->board, nic);
    if (port)
        net_alarm(port, when);
}

void vmk_outside(struct vm *vm, bool outside)
{
    vm->board->outside = outside;
}
