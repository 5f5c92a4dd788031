/* The switch: learns which port an address is behind, per VLAN, and forwards or floods (IEEE 802.1D and
 * 802.1Q, without spanning tree, priorities and ageing: an address that moves is learned anew from its next
 * frame).
 *
 * Portgroups are ESX's: VLAN 0 carries untagged frames only, 1 to 4094 are tagged by the switch (the guest
 * sees no tags), 4095 is a trunk that carries all VLANs with their tags, which is also what an uplink is. A
 * frame with a tag from a port that is no trunk is dropped.
 *
 * One lock for all: a frame is forwarded under it, so that a port cannot go away under a frame on its way.
 * It is recursive because what takes a frame (Python's end) may answer at once. */
#define _GNU_SOURCE
#include "net/switch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vmk_api.h"

#define TABLE 4096u     /* addresses known at a time */
#define PROBES 8u
#define TAG_BYTES 4u
#define ETHER_HEADER 14u
#define DEPTH 8         /* of answers within answers */

struct learned {
    uint8_t mac[6];
    uint16_t vlan;
    int32_t port; /* -1: free */
};

struct port {
    struct vmk_switch *sw;
    int number; /* -1: free */
    uint16_t vlan;
    bool connected;
    struct net_peer peer;
    struct vmk_switch_port count;
};

struct vmk_switch {
    pthread_mutex_t lock;
    uint64_t latency;
    unsigned users;
    int next, depth;
    struct port port[SWITCH_PORTS];
    struct learned table[TABLE];
};

/* A frame on its way: untagged, and the VLAN it is on. */
struct packet {
    const uint8_t *frame;
    size_t len;
    uint16_t vlan;
    uint64_t when;
};

struct vmk_switch *vmk_switch_create(uint64_t latency)
{
    struct vmk_switch *sw = calloc(1, sizeof(*sw));
    pthread_mutexattr_t attr;
    if (!sw)
        return NULL;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&sw->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    sw->latency = latency;
    sw->users = 1;
    for (unsigned i = 0; i < SWITCH_PORTS; i++)
        sw->port[i].number = -1;
    for (unsigned i = 0; i < TABLE; i++)
        sw->table[i].port = -1;
    return sw;
}

void switch_hold(struct vmk_switch *sw)
{
    pthread_mutex_lock(&sw->lock);
    sw->users++;
    pthread_mutex_unlock(&sw->lock);
}

void switch_drop(struct vmk_switch *sw)
{
    pthread_mutex_lock(&sw->lock);
    bool last = --sw->users == 0;
    pthread_mutex_unlock(&sw->lock);
    if (!last)
        return;
    for (unsigned i = 0; i < SWITCH_PORTS; i++)
        if (sw->port[i].number >= 0)
            switch_remove(sw, sw->port[i].number);
    pthread_mutex_destroy(&sw->lock);
    free(sw);
}

void vmk_switch_release(struct vmk_switch *sw)
{
    switch_drop(sw);
}

static struct port *find(struct vmk_switch *sw, int number)
{
    for (unsigned i = 0; number >= 0 && i < SWITCH_PORTS; i++)
        if (sw->port[i].number == number)
            return &sw->port[i];
    return NULL;
}

/* ---- addresses ---- */

static unsigned slot_of(const uint8_t *mac, uint16_t vlan)
{
    uint64_t key = vlan;
    for (unsigned i = 0; i < 6; i++)
        key = key << 8 | mac[i];
    return (unsigned)((key * 0x9e3779b97f4a7c15ull) >> 52) % TABLE;
}

/* The entry of an address, or, to be filled, a free or else the first of its slots: a guest that makes up
 * addresses makes the switch flood, no more. */
static struct learned *entry_of(struct vmk_switch *sw, const uint8_t *mac, uint16_t vlan, bool fill)
{
    unsigned first = slot_of(mac, vlan);
    struct learned *free_one = NULL;
    for (unsigned i = 0; i < PROBES; i++) {
        struct learned *e = &sw->table[(first + i) % TABLE];
        if (e->port >= 0 && e->vlan == vlan && !memcmp(e->mac, mac, 6))
            return e;
        if (e->port < 0 && !free_one)
            free_one = e;
    }
    return !fill ? NULL : free_one ? free_one : &sw->table[first];
}

static void learn(struct vmk_switch *sw, const struct port *from, const struct packet *p)
{
    const uint8_t *source = p->frame + 6;
    if (source[0] & 1)
        return;
    struct learned *e = entry_of(sw, source, p->vlan, true);
    memcpy(e->mac, source, 6);
    e->vlan = p->vlan;
    e->port = from->number;
}

/* ---- forwarding ---- */

static void send_tagged(struct port *to, const struct packet *p)
{
    uint8_t tagged[NET_FRAME_MAX + TAG_BYTES];
    memcpy(tagged, p->frame, 12);
    tagged[12] = 0x81;
    tagged[13] = 0x00;
    tagged[14] = (uint8_t)(p->vlan >> 8);
    tagged[15] = (uint8_t)p->vlan;
    memcpy(tagged + 16, p->frame + 12, p->len - 12);
    to->peer.send(to->peer.ctx, tagged, p->len + TAG_BYTES, p->when);
}

static void forward(struct port *to, const struct packet *p)
{
    bool tag = to->vlan == VMK_VLAN_TRUNK && p->vlan;
    if (!to->connected || (to->vlan != p->vlan && to->vlan != VMK_VLAN_TRUNK))
        return;
    if (tag && p->len + TAG_BYTES > NET_FRAME_MAX) {
        to->count.dropped++;
        return;
    }
    to->count.tx_frames++;
    to->count.tx_bytes += p->len;
    if (tag)
        send_tagged(to, p);
    else
        to->peer.send(to->peer.ctx, p->frame, p->len, p->when);
}

static void distribute(struct vmk_switch *sw, int from, const struct packet *p)
{
    const struct learned *e = p->frame[0] & 1 ? NULL : entry_of(sw, p->frame, p->vlan, false);
    if (e && e->port == from)
        return;
    if (e) {
        struct port *to = find(sw, e->port);
        if (to)
            forward(to, p);
        return;
    }
    for (unsigned i = 0; i < SWITCH_PORTS; i++)
        if (sw->port[i].number >= 0 && sw->port[i].number != from)
            forward(&sw->port[i], p);
}

/* The frame without its tag, in `scratch` if there was one. False: the port does not carry such frames. */
static bool classify(const struct port *from, struct packet *p, uint8_t *scratch)
{
    bool tagged = p->frame[12] == 0x81 && p->frame[13] == 0x00;
    p->vlan = from->vlan == VMK_VLAN_TRUNK ? 0 : from->vlan;
    if (!tagged)
        return true;
    if (p->len < ETHER_HEADER + TAG_BYTES)
        return false;
    uint16_t vlan = (uint16_t)((p->frame[14] & 0x0f) << 8 | p->frame[15]);
    if (vlan == 4095 || (vlan && from->vlan != VMK_VLAN_TRUNK))
        return false;
    p->vlan = vlan ? vlan : p->vlan;
    memcpy(scratch, p->frame, 12);
    memcpy(scratch + 12, p->frame + 12 + TAG_BYTES, p->len - 12 - TAG_BYTES);
    p->frame = scratch;
    p->len -= TAG_BYTES;
    return true;
}

static int enter(struct port *from, struct packet *p)
{
    struct vmk_switch *sw = from->sw;
    uint8_t scratch[NET_FRAME_MAX];
    if (p->len < ETHER_HEADER || p->len > NET_FRAME_MAX)
        return VMK_EINVAL;
    from->count.rx_frames++;
    from->count.rx_bytes += p->len;
    if (sw->depth == DEPTH || !classify(from, p, scratch)) {
        from->count.dropped++;
        return VMK_OK;
    }
    sw->depth++;
    learn(sw, from, p);
    distribute(sw, from->number, p);
    sw->depth--;
    return VMK_OK;
}

/* `when` 0 comes from outside, where nobody knows a VM's time. */
static int take(void *ctx, const uint8_t *frame, size_t len, uint64_t when)
{
    struct port *from = ctx;
    struct vmk_switch *sw = from->sw;
    struct packet p = {.frame = frame, .len = len, .when = when && sw->latency ? when + sw->latency : 0};
    int rc = VMK_ESTATE;
    pthread_mutex_lock(&sw->lock);
    if (from->number >= 0)
        rc = enter(from, &p);
    pthread_mutex_unlock(&sw->lock);
    return rc;
}

/* ---- ports ---- */

int switch_add(struct vmk_switch *sw, uint32_t vlan, struct net_sink *sink)
{
    int number = VMK_EBUSY;
    if (vlan > VMK_VLAN_TRUNK)
        return VMK_EINVAL;
    pthread_mutex_lock(&sw->lock);
    for (unsigned i = 0; i < SWITCH_PORTS && number < 0; i++) {
        struct port *p = &sw->port[i];
        if (p->number >= 0)
            continue;
        number = sw->next++;
        *p = (struct port){.sw = sw, .number = number, .vlan = (uint16_t)vlan};
        *sink = (struct net_sink){.take = take, .ctx = p};
    }
    pthread_mutex_unlock(&sw->lock);
    return number;
}

void switch_connect(struct vmk_switch *sw, int number, const struct net_peer *peer)
{
    pthread_mutex_lock(&sw->lock);
    struct port *p = find(sw, number);
    p->peer = *peer;
    p->connected = true;
    pthread_mutex_unlock(&sw->lock);
}

/* The peer is closed without the lock: it may wait for a thread of its own that wants to send. Only then is
 * the port free, so that what that thread still sends comes to nothing. */
int switch_remove(struct vmk_switch *sw, int number)
{
    pthread_mutex_lock(&sw->lock);
    struct port *p = find(sw, number);
    if (p)
        p->connected = false;
    for (unsigned i = 0; p && i < TABLE; i++)
        if (sw->table[i].port == number)
            sw->table[i].port = -1;
    struct net_peer peer = p ? p->peer : (struct net_peer){0};
    if (p)
        p->peer.close = NULL;
    pthread_mutex_unlock(&sw->lock);
    if (!p)
        return VMK_EINVAL;
    if (peer.close)
        peer.close(peer.ctx);
    pthread_mutex_lock(&sw->lock);
    p->number = -1;
    for (unsigned i = 0; i < TABLE; i++)
        if (sw->table[i].port == number)
            sw->table[i].port = -1;
    pthread_mutex_unlock(&sw->lock);
    return VMK_OK;
}

int vmk_switch_remove(struct vmk_switch *sw, int port)
{
    return switch_remove(sw, port);
}

int vmk_switch_give(struct vmk_switch *sw, int port, const void *frame, size_t len, uint64_t when)
{
    int rc = VMK_EINVAL;
    pthread_mutex_lock(&sw->lock);
    struct port *p = find(sw, port);
    if (p)
        rc = take(p, frame, len, when);
    pthread_mutex_unlock(&sw->lock);
    return rc;
}

int vmk_switch_port(struct vmk_switch *sw, int port, struct vmk_switch_port *out)
{
    pthread_mutex_lock(&sw->lock);
    const struct port *p = find(sw, port);
    if (p) {
        *out = p->count;
        out->vlan = p->vlan;
        out->learned = 0;
        for (unsigned i = 0; i < TABLE; i++)
            out->learned += sw->table[i].port == port;
    }
    pthread_mutex_unlock(&sw->lock);
    return p ? VMK_OK : VMK_EINVAL;
}
