/* How messages reach the LSI Logic adapter and replies the host: the doorbell handshake, the request FIFO
 * and the two reply queues.
 *
 * Follows MPI 1.2, chapter 3. Linux polls for an interrupt between any two halves of a handshake, SeaBIOS
 * reads them in a row without looking: the doorbell status stays up through the reply, and once more after
 * it. A host that leaves no room for a reply finds the adapter in the fault state. */
#include <string.h>

#include "dev/lsi_private.h"

#define EMPTY UINT32_MAX

/* ---- rings ---- */

/* Indices are the guest's after a restore of anything. */
static bool ring_push(struct lsi_ring *r, uint32_t value)
{
    if (r->count >= LSI_QUEUE - 1)
        return false;
    r->entry[(r->head + r->count++) % LSI_QUEUE] = value;
    return true;
}

static bool ring_pop(struct lsi_ring *r, uint32_t *value)
{
    if (!r->count)
        return false;
    *value = r->entry[r->head % LSI_QUEUE];
    r->head = (r->head + 1) % LSI_QUEUE;
    r->count--;
    return true;
}

/* ---- replies ---- */

static void post(struct dev *d, uint32_t descriptor)
{
    struct lsi *s = lsi_of(d);
    if (!ring_push(&s->posted, descriptor)) {
        lsi_fail(d, FAULT_REPLY_QUEUE);
        return;
    }
    s->int_status |= INT_REPLY;
}

void lsi_post_context(struct dev *d, uint32_t context)
{
    if (lsi_of(d)->ioc_state != IOC_FAULT)
        post(d, context);
}

void lsi_post_reply(struct dev *d, const uint8_t *reply, unsigned bytes)
{
    struct lsi *s = lsi_of(d);
    uint32_t low;
    if (s->ioc_state == IOC_FAULT)
        return;
    if (!ring_pop(&s->free_frames, &low)) {
        lsi_fail(d, FAULT_REPLY_QUEUE);
        return;
    }
    bytes = bytes < s->reply_bytes ? bytes : s->reply_bytes;
    if (!pci_may_dma(lsi_host_of(d)->pci) ||
        ram_write(d->board, (uint64_t)s->host_high << 32 | low, reply, bytes)) {
        lsi_fail(d, FAULT_REQUEST);
        return;
    }
    post(d, 0x80000000u | low >> 1);
}

/* The last reply taken keeps the status up: it falls when the host has seen the queue empty. */
uint32_t lsi_reply_pop(struct dev *d)
{
    struct lsi *s = lsi_of(d);
    uint32_t value;
    if (ring_pop(&s->posted, &value))
        return value;
    s->int_status &= ~(uint32_t)INT_REPLY;
    return EMPTY;
}

void lsi_reply_free(struct dev *d, uint32_t value)
{
    struct lsi *s = lsi_of(d);
    if (s->ioc_state != IOC_FAULT && !ring_push(&s->free_frames, value))
        lsi_fail(d, FAULT_REPLY_QUEUE);
}

/* ---- requests ---- */

void lsi_request_post(struct dev *d, uint32_t value)
{
    struct lsi *s = lsi_of(d);
    uint8_t frame[LSI_FRAME_BYTES], reply[LSI_REPLY_BYTES] = {0};
    if (s->ioc_state != IOC_OPERATIONAL) {
        lsi_fail(d, FAULT_STATE);
        return;
    }
    /* The low two bits tell the adapter how much to fetch; it takes a whole frame. Bit 2 is address: SeaBIOS
     * aligns its frames to 4 bytes only. */
    uint64_t address = (uint64_t)s->host_high << 32 | (value & ~3u);
    if (!pci_may_dma(lsi_host_of(d)->pci) || ram_read(d->board, address, frame, sizeof(frame))) {
        lsi_fail(d, FAULT_REQUEST);
        return;
    }
    if (frame[3] == FN_SCSI_IO) {
        lsi_scsi_io(d, frame);
        return;
    }
    unsigned bytes = lsi_message(d, frame, reply);
    if (bytes)
        lsi_post_reply(d, reply, bytes);
}

/* ---- the handshake ---- */

uint32_t lsi_doorbell_read(struct dev *d)
{
    struct lsi *s = lsi_of(d);
    uint32_t low = s->ioc_state == IOC_FAULT ? s->fault & 0xffff : 0;
    if (s->handshake == HANDSHAKE_REPLY) {
        low = 0;
        if (s->reply_next < s->reply_halves && s->reply_next < LSI_REPLY_BYTES / 2) {
            low = s->reply[s->reply_next / 2] >> (16 * (s->reply_next % 2)) & 0xffff;
            s->reply_next++;
        }
    }
    return s->ioc_state << 28 | (uint32_t)(s->handshake != HANDSHAKE_IDLE) << 27 | (s->who_init & 7) << 24 |
           low;
}

static void answer(struct dev *d)
{
    struct lsi *s = lsi_of(d);
    uint8_t request[4 * LSI_HANDSHAKE], reply[LSI_REPLY_BYTES] = {0};
    memset(request, 0, sizeof(request));
    for (unsigned i = 0; i < s->have && i < LSI_HANDSHAKE; i++)
        put32(request + 4 * i, s->request[i]);
    s->handshake = HANDSHAKE_IDLE;
    s->int_status |= INT_DOORBELL;
    unsigned bytes = lsi_message(d, request, reply);
    if (request[3] == FN_TASK_MGMT) { /* its answer comes through the reply queue */
        lsi_post_reply(d, reply, bytes);
        return;
    }
    memcpy(s->reply, reply, sizeof(reply));
    s->reply_halves = bytes / 2;
    s->reply_next = 0;
    s->handshake = HANDSHAKE_REPLY;
}

static void begin(struct lsi *s, unsigned dwords)
{
    if (!dwords || dwords > LSI_HANDSHAKE || (s->ioc_state != IOC_READY && s->ioc_state != IOC_OPERATIONAL))
        return;
    s->handshake = HANDSHAKE_REQUEST;
    s->wanted = dwords;
    s->have = 0;
    s->int_status |= INT_DOORBELL;
}

void lsi_doorbell_write(struct dev *d, uint32_t value)
{
    struct lsi *s = lsi_of(d);
    if (s->handshake == HANDSHAKE_REQUEST) {
        if (s->have < LSI_HANDSHAKE)
            s->request[s->have++] = value;
        if (s->have >= s->wanted || s->have >= LSI_HANDSHAKE)
            answer(d);
        return;
    }
    switch (value >> 24) {
    case FN_IOC_RESET:
    case FN_IO_UNIT_RESET: lsi_message_unit_reset(d); break;
    case FN_HANDSHAKE:
        if (s->handshake == HANDSHAKE_IDLE)
            begin(s, value >> 16 & 0xff);
        break;
    default: break;
    }
}

void lsi_status_write(struct dev *d)
{
    struct lsi *s = lsi_of(d);
    if (s->handshake == HANDSHAKE_REPLY) {
        if (s->reply_next >= s->reply_halves)
            s->handshake = HANDSHAKE_IDLE;
        s->int_status |= INT_DOORBELL;
    } else {
        s->int_status &= ~(uint32_t)INT_DOORBELL;
    }
}
