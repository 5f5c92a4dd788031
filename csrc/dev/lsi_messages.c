/* The LSI Logic adapter's messages, but SCSI I/O and configuration: facts, start-up, events.
 *
 * Follows MPI 1.2, chapters 4 and 5. A message of no known function is answered with "invalid function":
 * drivers try some. Leaves out RAID actions, firmware transfer, the toolbox, target mode. */
#include <string.h>

#include "dev/lsi_private.h"

#define EVENT_CHANGE 0x0a
#define CONTINUATION 0x80
#define MPI_1_5 0x0105

#define FUNCTION 0x03
#define STATUS 0x0e

void lsi_reply_begin(uint8_t reply[LSI_REPLY_BYTES], const uint8_t *request, unsigned bytes)
{
    memset(reply, 0, LSI_REPLY_BYTES);
    reply[0x02] = (uint8_t)(bytes / 4);
    reply[FUNCTION] = request[FUNCTION];
    reply[0x07] = request[0x07];
    memcpy(reply + 0x08, request + 0x08, 4); /* context */
}

static unsigned refuse(const uint8_t *request, uint8_t *reply, enum lsi_ioc_status status)
{
    lsi_reply_begin(reply, request, 20);
    put16(reply + STATUS, status);
    return 20;
}

/* An initialised adapter says so again, as firmware and then a driver start it. */
static unsigned ioc_init(struct dev *d, const uint8_t *request, uint8_t *reply)
{
    struct lsi *s = lsi_of(d);
    if (s->ioc_state != IOC_READY && s->ioc_state != IOC_OPERATIONAL)
        return refuse(request, reply, IOC_INVALID_STATE);
    lsi_reply_begin(reply, request, 20);
    reply[0x04] = request[0x04];
    reply[0x00] = request[0x00];
    reply[0x05] = request[0x05];
    reply[0x06] = request[0x06];
    s->who_init = request[0x00];
    s->max_devices = request[0x05] ? request[0x05] : 256;
    s->max_buses = request[0x06];
    s->reply_bytes = get16(request + 0x0c);
    s->host_high = get32(request + 0x10);
    s->sense_high = get32(request + 0x14);
    s->ioc_state = IOC_OPERATIONAL;
    return 20;
}

static unsigned ioc_facts(struct dev *d, const uint8_t *request, uint8_t *reply)
{
    const struct lsi *s = lsi_of(d);
    const struct lsi_model *m = lsi_host_of(d)->model;
    unsigned bytes = m->version >= MPI_1_5 ? 80 : 60;
    lsi_reply_begin(reply, request, bytes);
    put16(reply + 0x00, m->version);
    reply[0x14] = 0x22;                        /* chain segments a list may have */
    reply[0x15] = (uint8_t)s->who_init;
    reply[0x16] = 12;                          /* dwords of a request block: drivers divide by it */
    put16(reply + 0x18, LSI_SLOTS);            /* reply queue depth */
    put16(reply + 0x1a, LSI_FRAME_BYTES / 4);
    put16(reply + 0x1e, m->product);
    put32(reply + 0x20, s->host_high);
    put16(reply + 0x24, LSI_SLOTS);            /* credits */
    reply[0x26] = 1;                           /* ports */
    reply[0x27] = s->events_on != 0;
    put32(reply + 0x28, s->sense_high);
    put16(reply + 0x2c, s->reply_bytes);
    reply[0x2e] = m->max_devices;
    reply[0x2f] = 1;                           /* buses */
    put32(reply + 0x38, 0x01032920);           /* firmware 1.03.41.32 */
    return bytes;
}

static unsigned port_facts(struct dev *d, const uint8_t *request, uint8_t *reply)
{
    const struct lsi_model *m = lsi_host_of(d)->model;
    lsi_reply_begin(reply, request, 40);
    reply[0x06] = request[0x06];
    if (request[0x06]) { /* a port that is not there is inactive */
        put16(reply + STATUS, IOC_INVALID_FIELD);
        return 40;
    }
    reply[0x15] = m->port_type;
    put16(reply + 0x16, m->max_devices);
    put16(reply + 0x18, m->own_id);
    put16(reply + 0x1a, m->protocol);
    return 40;
}

static unsigned port_enable(struct dev *d, const uint8_t *request, uint8_t *reply)
{
    (void)d;
    lsi_reply_begin(reply, request, 20);
    reply[0x06] = request[0x06];
    return 20;
}

/* Later events answer this message once more, with its context: hence "continuation". */
static unsigned event_notification(struct dev *d, const uint8_t *request, uint8_t *reply)
{
    struct lsi *s = lsi_of(d);
    s->events_on = request[0x00] != 0;
    s->event_context = get32(request + 0x08);
    lsi_reply_begin(reply, request, 32);
    put16(reply + 0x00, 1);
    reply[0x07] = CONTINUATION;
    put32(reply + 0x14, EVENT_CHANGE);
    reply[0x1c] = request[0x00] != 0;
    return 32;
}

static unsigned event_ack(struct dev *d, const uint8_t *request, uint8_t *reply)
{
    (void)d;
    lsi_reply_begin(reply, request, 20);
    return 20;
}

/* A host without a free frame misses the event and looks for itself when it scans: no reason for a fault. */
void lsi_event(struct dev *d, uint32_t event, const uint8_t *data, unsigned bytes)
{
    struct lsi *s = lsi_of(d);
    uint8_t reply[LSI_REPLY_BYTES] = {0}, request[16] = {0};
    if (!s->events_on || s->ioc_state != IOC_OPERATIONAL || !s->free_frames.count ||
        0x1c + bytes > sizeof(reply))
        return;
    request[FUNCTION] = FN_EVENT_NOTIFICATION;
    put32(request + 0x08, s->event_context);
    lsi_reply_begin(reply, request, 0x1c + bytes);
    put16(reply + 0x00, bytes / 4);
    reply[0x07] = CONTINUATION;
    put32(reply + 0x14, event);
    memcpy(reply + 0x1c, data, bytes);
    lsi_post_reply(d, reply, 0x1c + bytes);
    lsi_drive(d);
}

typedef unsigned message_fn(struct dev *d, const uint8_t *request, uint8_t *reply);

static message_fn *const functions[] = {
    [FN_TASK_MGMT] = lsi_task_management, [FN_IOC_INIT] = ioc_init, [FN_IOC_FACTS] = ioc_facts,
    [FN_CONFIG] = lsi_config, [FN_PORT_FACTS] = port_facts, [FN_PORT_ENABLE] = port_enable,
    [FN_EVENT_NOTIFICATION] = event_notification, [FN_EVENT_ACK] = event_ack,
};

unsigned lsi_message(struct dev *d, const uint8_t *request, uint8_t reply[LSI_REPLY_BYTES])
{
    uint8_t function = request[FUNCTION];
    if (function >= sizeof(functions) / sizeof(functions[0]) || !functions[function])
        return refuse(request, reply, IOC_INVALID_FUNCTION);
    return functions[function](d, request, reply);
}
