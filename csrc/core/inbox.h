/* The one door for everything that comes from outside the VM: typed keys, serial input, disk completions,
 * frames, NMI, pause.
 *
 * Any thread posts; the vCPU thread drains at a safe point and hands each message to its device, stamped with
 * VM time. Devices therefore need no locks, and a run can be replayed from its inbox. */
#ifndef VMK_CORE_INBOX_H
#define VMK_CORE_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define INBOX_SLOTS 256
#define INBOX_BYTES 64

enum inbox_kind {
    INBOX_BYTES_IN = 1, /* to a device: `data[0..len)` */
    INBOX_KEY = 2,      /* to the keyboard: set-1 scan codes in data */
    INBOX_NMI = 3,      /* to every vCPU of mask arg */
    INBOX_POWER_BUTTON = 4,
    INBOX_FRAME = 5,    /* to a NIC: its port has frames (net/port.h) */
    INBOX_WAKE = 6,     /* to a device: something it waits for on the host has come */
};

struct inbox_msg {
    uint32_t kind;
    int32_t dev;       /* board index, or -1 for the VM itself */
    uint64_t when;     /* deliver not before this VM time; 0 = at once */
    uint64_t arg;
    uint32_t len;
    uint8_t data[INBOX_BYTES];
};

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t arrived; /* a vCPU thread that idles in real time waits here */
    atomic_bool news;       /* a message came since the vCPU thread last looked */
    uint32_t head, count;
    struct inbox_msg slot[INBOX_SLOTS];
};

void inbox_init(struct inbox *in);
void inbox_destroy(struct inbox *in);

/* 0, or -1 when the inbox is full: the sender tries again later. Keeps the order of equal times. */
int inbox_post(struct inbox *in, const struct inbox_msg *msg);

/* Takes the first message whose time has come. */
bool inbox_take(struct inbox *in, uint64_t now, struct inbox_msg *out);

/* The earliest `when` still waiting, or UINT64_MAX. */
uint64_t inbox_deadline(struct inbox *in);

#endif
