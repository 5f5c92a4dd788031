/* What Python plugs into NICs and switches. cffi reads this file as it reads vmk_api.h.
 *
 * A cable goes from a jack (a VM's NIC, or a new port of a switch) to something that takes and gives
 * frames: a switch, a file descriptor, the user-mode network, Python. Calls that plug something in return 0
 * or more (for a switch: the port's number, never used twice) or a negative vmk_error_code with a line in
 * error[]. A NIC is plugged while its VM does not run; what was plugged before is closed. File descriptors
 * belong to the plug from the call on, also if it fails. */
#ifndef VMK_NET_H
#define VMK_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;
struct vmk_switch;

enum vmk_framing {
    VMK_FRAMING_STREAM = 0, /* a stream socket: 32-bit big-endian length, then the frame */
    VMK_FRAMING_DGRAM = 1,  /* a datagram socket: a message is a frame */
    VMK_FRAMING_TAP = 2,    /* /dev/net/tun with IFF_TAP | IFF_NO_PI: a read or write is a frame */
};

enum vmk_vlan { VMK_VLAN_NONE = 0, VMK_VLAN_TRUNK = 4095 };

/* vm and nic; or, with vm NULL, a new port of `sw` in the portgroup of `vlan`: 0 untagged, 1 to 4094 tagged
 * by the switch, VMK_VLAN_TRUNK every VLAN with its tags. */
struct vmk_jack {
    struct vm *vm;
    struct vmk_switch *sw;
    uint32_t nic, vlan;
};

struct vmk_net_error {
    char text[256];
};

/* A frame for Python's end `token`; `now` is the sender's VM time, or when the frame arrives. Called on the
 * sender's thread, which may be the vCPU's. Without a frame, length 0: an alarm (vmk_alarm), or, at `now`
 * UINT64_MAX, the end: the cable was pulled, and the token is not used again. */
typedef void vmk_frame_fn(uint64_t token, const uint8_t *frame, size_t len, uint64_t now);

/* libslirp's functions, as found by whoever loaded it. */
struct vmk_slirp {
    void *create, *cleanup, *pollfds_fill, *pollfds_poll, *input, *add_hostfwd;
};

struct vmk_forward {
    uint32_t udp;           /* 0 TCP, 1 UDP */
    uint32_t host_address;  /* IPv4, host byte order, as all addresses here */
    uint32_t host_port, guest_port;
};

struct vmk_user_config {
    uint32_t network, mask, gateway, name_server, first_lease;
    uint32_t forwards;      /* 0 to 32 */
    struct vmk_forward forward[32];
};

struct vmk_switch_port {
    uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, dropped; /* rx: into the switch */
    uint32_t vlan, learned;  /* learned: addresses known behind this port */
};

/* A switch; a frame arrives `latency` ns of VM time after it was sent, or at once with 0. It lives until it
 * is released and no NIC is plugged into it. NULL: out of memory. */
struct vmk_switch *vmk_switch_create(uint64_t latency);
void vmk_switch_release(struct vmk_switch *sw);
int vmk_switch_remove(struct vmk_switch *sw, int port);
int vmk_switch_give(struct vmk_switch *sw, int port, const void *frame, size_t len, uint64_t when);
int vmk_switch_port(struct vmk_switch *sw, int port, struct vmk_switch_port *out);

int vmk_plug_switch(struct vm *vm, uint32_t nic, struct vmk_switch *sw, uint32_t vlan,
                    struct vmk_net_error *error);
int vmk_plug_fd(const struct vmk_jack *jack, int fd, uint32_t framing, struct vmk_net_error *error);
int vmk_plug_user(const struct vmk_jack *jack, const struct vmk_slirp *lib,
                  const struct vmk_user_config *config, struct vmk_net_error *error);
int vmk_plug_python(const struct vmk_jack *jack, vmk_frame_fn *frame, uint64_t token,
                    struct vmk_net_error *error);

/* From within a call for the end that vmk_plug_python() put at a NIC: call it again at VM time `when`,
 * without a frame (length 0). */
void vmk_alarm(struct vm *vm, uint32_t nic, uint64_t when);

/* Writes what NIC `nic` sends and receives to `fd` as pcapng, VM time in ns; fd -1 ends it. */
int vmk_capture(struct vm *vm, uint32_t nic, int fd, const char *name, struct vmk_net_error *error);
/* A bad line: parts in 2^32 of the frames that get lost and that have one bit flipped, and ns of VM time that
 * each takes longer, in both directions. */
int vmk_impair(struct vm *vm, uint32_t nic, uint64_t seed, uint32_t loss, uint32_t corrupt, uint64_t delay,
               struct vmk_net_error *error);

/* Whether frames come in by the host's time: an idle VM in virtual time then waits as long as its clock
 * skips. */
void vmk_outside(struct vm *vm, bool outside);

#endif
