/* SCSI commands on their way through the LSI Logic adapter, and task management.
 *
 * Follows MPI 1.2, chapter 6. A command in flight has a slot in the saved state (its frame, as it was
 * fetched, and how far it is) and a task on the host's side, which a restore makes anew from the slot. A
 * command ends exactly once: with a context reply if all went as asked, else with an address reply; one
 * that a reset took away ends silently. A restored read reads again: it may find what a write handed in
 * after it has written meanwhile, which SCSI leaves open for commands that are in flight together. */
#include <stdlib.h>
#include <string.h>

#include "dev/lsi_private.h"

#define TARGET 0x00
#define BUS 0x01
#define SENSE_LENGTH 0x05
#define CONTEXT 0x08
#define LUN 0x0c
#define CONTROL 0x14
#define CDB 0x18
#define DATA_LENGTH 0x28
#define SENSE_ADDRESS 0x2c

#define REPLY_BYTES 36
enum { STATE_AUTOSENSE = 1, STATE_AUTOSENSE_FAILED = 2, STATE_NO_STATUS = 4, STATE_TERMINATED = 8 };
enum { DATA_NONE = 0, DATA_OUT = 1, DATA_IN = 2 };

enum task_type {
    ABORT_TASK = 1, ABORT_SET = 2, TARGET_RESET = 3, BUS_RESET = 4, LUN_RESET = 5, CLEAR_SET = 6,
    QUERY_TASK = 7,
};

static unsigned direction(const uint8_t *frame)
{
    return frame[CONTROL + 3] & 3;
}

/* LUNs are addressed as one level of peripheral addressing; anything else names none we have. */
static unsigned lun_of(const uint8_t *frame)
{
    static const uint8_t zero[6];
    const uint8_t *lun = frame + LUN;
    return !lun[0] && lun[1] < LSI_LUNS && !memcmp(lun + 2, zero, 6) ? lun[1] : LSI_LUNS;
}

/* ---- replies ---- */

struct outcome {
    enum lsi_ioc_status status;
    uint8_t scsi, state;
    uint32_t moved, sense_bytes;
};

static void reply_to(struct dev *d, const uint8_t *frame, const struct outcome *o)
{
    uint8_t reply[LSI_REPLY_BYTES];
    lsi_reply_begin(reply, frame, REPLY_BYTES);
    memcpy(reply, frame, 2); /* target and bus */
    reply[0x04] = frame[0x04];
    reply[0x05] = frame[SENSE_LENGTH];
    reply[0x0c] = o->scsi;
    reply[0x0d] = o->state;
    put16(reply + 0x0e, o->status);
    put32(reply + 0x14, o->moved);
    put32(reply + 0x18, o->sense_bytes);
    put16(reply + 0x20, 0xffff);
    lsi_post_reply(d, reply, REPLY_BYTES);
}

static void refuse(struct dev *d, const uint8_t *frame, enum lsi_ioc_status status)
{
    struct outcome o = {.status = status, .state = STATE_NO_STATUS};
    reply_to(d, frame, &o);
}

static void refuse_status(struct dev *d, const uint8_t *frame, enum scsi_status status)
{
    struct outcome o = {.scsi = (uint8_t)status};
    reply_to(d, frame, &o);
}

static void write_sense(struct dev *d, const uint8_t *frame, uint32_t sense, struct outcome *o)
{
    uint8_t bytes[SCSI_SENSE_BYTES];
    uint64_t address = (uint64_t)lsi_of(d)->sense_high << 32 | get32(frame + SENSE_ADDRESS);
    unsigned n = frame[SENSE_LENGTH] < SCSI_SENSE_BYTES ? frame[SENSE_LENGTH] : SCSI_SENSE_BYTES;
    scsi_sense_bytes(sense, bytes);
    o->state = STATE_AUTOSENSE_FAILED;
    if (n && !ram_write(d->board, address, bytes, n)) {
        o->state = STATE_AUTOSENSE;
        o->sense_bytes = n;
    }
}

/* ---- the end of a command ---- */

static struct lsi_slot *slot_of(const struct lsi_task *t)
{
    return &lsi_of(t->dev)->slot[t - lsi_host_of(t->dev)->task];
}

static void forget(struct lsi_task *t)
{
    lsi_host_of(t->dev)->bytes_in_flight -= t->cmd.size;
    free(t->cmd.data);
    free(t->segment);
    *t = (struct lsi_task){0};
}

static uint32_t moved(const struct lsi_task *t, unsigned way)
{
    if (way == DATA_OUT)
        return t->cmd.status == SCSI_GOOD ? t->cmd.size : 0;
    return way == DATA_IN ? t->cmd.data_in : 0;
}

static void report(struct lsi_task *t, const uint8_t *frame)
{
    const struct scsi_cmd *c = &t->cmd;
    unsigned way = direction(frame);
    struct outcome o = {.scsi = c->status, .moved = moved(t, way)};
    if (way == DATA_IN && lsi_sgl_to_guest(t->dev, t, c->data, c->data_in)) {
        refuse(t->dev, frame, IOC_INVALID_SGL);
        return;
    }
    if (c->overrun)
        o.status = IOC_SCSI_OVERRUN;
    else if (o.moved < c->size && c->status == SCSI_GOOD)
        o.status = IOC_SCSI_UNDERRUN;
    if (c->status == SCSI_CHECK_CONDITION)
        write_sense(t->dev, frame, c->sense, &o);
    uint32_t context = get32(frame + CONTEXT);
    if (c->status == SCSI_GOOD && o.status == IOC_SUCCESS && !(context >> 31))
        lsi_post_context(t->dev, context);
    else
        reply_to(t->dev, frame, &o);
}

static void command_done(struct scsi_cmd *cmd)
{
    struct lsi_task *t = cmd->owner;
    struct dev *d = t->dev;
    uint8_t frame[LSI_FRAME_BYTES];
    if (t->stopped) { /* whoever stopped it has the slot */
        forget(t);
        return;
    }
    memcpy(frame, slot_of(t)->frame, sizeof(frame));
    slot_of(t)->used = 0;
    report(t, frame);
    if (t->dev) /* a reply without room ends everything, this too */
        forget(t);
    lsi_drive(d);
}

static void command_moved_on(struct scsi_cmd *cmd)
{
    struct lsi_task *t = cmd->owner;
    struct lsi_slot *slot = slot_of(t);
    if (lsi_host_of(t->dev)->restoring)
        return; /* the slot knows */
    slot->step = cmd->step;
    slot->due = blk_due(&cmd->req);
    slot->sequence = lsi_of(t->dev)->sequence++;
}

/* ---- the start of a command ---- */

static struct scsi_unit *unit_for(struct dev *d, const uint8_t *frame)
{
    static struct scsi_unit nobody;
    unsigned lun = lun_of(frame);
    return lun < LSI_LUNS ? &lsi_host_of(d)->unit[frame[TARGET]][lun] : &nobody;
}

/* Makes the task of a slot whose frame is set. 0 or an enum lsi_ioc_status. */
static int prepare(struct dev *d, unsigned number)
{
    const uint8_t *frame = lsi_of(d)->slot[number].frame;
    struct lsi_task *t = &lsi_host_of(d)->task[number];
    uint32_t size = direction(frame) == DATA_NONE ? 0 : get32(frame + DATA_LENGTH);
    if (size > SCSI_MAX_TRANSFER)
        return IOC_INVALID_FIELD;
    *t = (struct lsi_task){.dev = d, .cmd = {.unit = unit_for(d, frame), .size = size, .owner = t,
                                             .luns = lsi_luns(d, frame[TARGET]), .done = command_done,
                                             .progress = command_moved_on}};
    lsi_host_of(d)->bytes_in_flight += size;
    memcpy(t->cmd.cdb, frame + CDB, SCSI_CDB_BYTES);
    int rc = size ? lsi_sgl_parse(d, frame, size, t) : IOC_SUCCESS;
    if (!rc && size && !(t->cmd.data = malloc(size)))
        rc = IOC_BUSY;
    if (!rc && direction(frame) == DATA_OUT)
        rc = lsi_sgl_to_host(d, t, t->cmd.data, size);
    else if (!rc && size && scsi_sends_data(t->cmd.cdb)) /* it says "in" and expects to send: zeroes then */
        memset(t->cmd.data, 0, size);
    if (rc)
        forget(t);
    return rc;
}

static int check_address(struct dev *d, const uint8_t *frame)
{
    if (frame[BUS])
        return IOC_SCSI_INVALID_BUS;
    if (frame[TARGET] >= lsi_host_of(d)->model->max_devices)
        return IOC_SCSI_INVALID_TARGET;
    if (!lsi_target_present(d, frame[TARGET]))
        return IOC_SCSI_NOT_THERE;
    return direction(frame) == 3 ? IOC_INVALID_FIELD : IOC_SUCCESS;
}

static unsigned free_slot(const struct lsi *s)
{
    unsigned i = 0;
    while (i < LSI_SLOTS && s->slot[i].used)
        i++;
    return i;
}

void lsi_scsi_io(struct dev *d, const uint8_t *frame)
{
    struct lsi *s = lsi_of(d);
    struct lsi_host *h = lsi_host_of(d);
    unsigned number = free_slot(s);
    int rc = check_address(d, frame);
    if (!rc && number == LSI_SLOTS)
        rc = IOC_BUSY;
    if (rc) {
        refuse(d, frame, (enum lsi_ioc_status)rc);
        return;
    }
    uint32_t size = get32(frame + DATA_LENGTH);
    if (h->bytes_in_flight && size <= SCSI_MAX_TRANSFER && h->bytes_in_flight + size > LSI_BYTES_IN_FLIGHT) {
        refuse_status(d, frame, SCSI_TASK_SET_FULL);
        return;
    }
    struct lsi_slot *slot = &s->slot[number];
    *slot = (struct lsi_slot){.used = 1, .sequence = s->sequence++};
    memcpy(slot->frame, frame, LSI_FRAME_BYTES);
    if ((rc = prepare(d, number))) {
        slot->used = 0;
        refuse(d, frame, (enum lsi_ioc_status)rc);
        return;
    }
    scsi_start(&h->task[number].cmd);
}

/* ---- taking commands away ---- */

/* The host's side of a command, wherever it is, without a reply. */
static void drop(struct lsi_task *t)
{
    if (!t->dev)
        return;
    t->stopped = true;
    if (t->cmd.waiting)
        blk_cancel(t->cmd.unit->blk, &t->cmd); /* ends in command_done() */
}

void lsi_io_stop_all(struct dev *d)
{
    for (unsigned i = 0; i < LSI_SLOTS; i++) {
        drop(&lsi_host_of(d)->task[i]);
        lsi_of(d)->slot[i].used = 0;
    }
}

/* Each command that `matches` ends with `status`; their number. */
static uint32_t end_matching(struct dev *d, bool (*matches)(const uint8_t *frame, const uint8_t *request),
                             const uint8_t *request, enum lsi_ioc_status status)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < LSI_SLOTS; i++) {
        struct lsi_slot *slot = &lsi_of(d)->slot[i];
        struct outcome o = {.status = status, .state = STATE_TERMINATED};
        if (!slot->used || !matches(slot->frame, request))
            continue;
        drop(&lsi_host_of(d)->task[i]);
        slot->used = 0;
        reply_to(d, slot->frame, &o);
        count++;
    }
    return count;
}

static bool same_unit(const uint8_t *frame, const uint8_t *request)
{
    return frame[TARGET] == request[TARGET] && !memcmp(frame + LUN, request + LUN, 8);
}

static bool same_target(const uint8_t *frame, const uint8_t *request)
{
    return frame[TARGET] == request[TARGET];
}

static bool any(const uint8_t *frame, const uint8_t *request)
{
    return (void)frame, (void)request, true;
}

static bool same_task(const uint8_t *frame, const uint8_t *request)
{
    return same_target(frame, request) && !memcmp(frame + CONTEXT, request + 0x30, 4);
}

void lsi_io_end_unit(struct dev *d, unsigned target, unsigned lun)
{
    const uint8_t request[LUN + 8] = {[TARGET] = (uint8_t)target, [LUN + 1] = (uint8_t)lun};
    end_matching(d, same_unit, request, IOC_SCSI_NOT_THERE);
    lsi_drive(d);
}

static void reset_units(struct dev *d, unsigned first, unsigned last, unsigned lun)
{
    for (unsigned target = first; target <= last && target < LSI_TARGETS; target++)
        for (unsigned i = 0; i < LSI_LUNS; i++) {
            struct scsi_unit *u = &lsi_host_of(d)->unit[target][i];
            if (u->kind != SCSI_ABSENT && (lun == LSI_LUNS || lun == i))
                scsi_reset(u);
        }
}

static bool has_task(struct dev *d, const uint8_t *request)
{
    for (unsigned i = 0; i < LSI_SLOTS; i++)
        if (lsi_of(d)->slot[i].used && same_task(lsi_of(d)->slot[i].frame, request))
            return true;
    return false;
}

enum { TM_COMPLETE = 0, TM_UNSUPPORTED = 4, TM_SUCCEEDED = 8, TM_INVALID_LUN = 9 };

static uint8_t manage(struct dev *d, const uint8_t *request, uint32_t *count)
{
    unsigned target = request[TARGET], lun = lun_of(request);
    switch (request[0x05]) {
    case ABORT_TASK: *count = end_matching(d, same_task, request, IOC_SCSI_TERMINATED); return TM_COMPLETE;
    case ABORT_SET:
    case CLEAR_SET: *count = end_matching(d, same_unit, request, IOC_SCSI_TERMINATED); return TM_COMPLETE;
    case TARGET_RESET:
        *count = end_matching(d, same_target, request, IOC_SCSI_TERMINATED);
        reset_units(d, target, target, LSI_LUNS);
        return TM_COMPLETE;
    case BUS_RESET:
        *count = end_matching(d, any, request, IOC_SCSI_TERMINATED);
        reset_units(d, 0, LSI_TARGETS - 1, LSI_LUNS);
        return TM_COMPLETE;
    case LUN_RESET:
        if (lun == LSI_LUNS)
            return TM_INVALID_LUN;
        *count = end_matching(d, same_unit, request, IOC_SCSI_TERMINATED);
        reset_units(d, target, target, lun);
        return TM_COMPLETE;
    case QUERY_TASK: return has_task(d, request) ? TM_SUCCEEDED : TM_COMPLETE;
    default: return TM_UNSUPPORTED;
    }
}

unsigned lsi_task_management(struct dev *d, const uint8_t *request, uint8_t reply[LSI_REPLY_BYTES])
{
    uint32_t count = 0;
    uint8_t code = manage(d, request, &count);
    lsi_reply_begin(reply, request, 24);
    memcpy(reply, request, 2);
    reply[0x04] = code;
    reply[0x05] = request[0x05];
    put32(reply + 0x14, count);
    return 24;
}

/* ---- restore ---- */

static struct lsi_slot *next_saved(struct lsi *s, uint64_t from)
{
    struct lsi_slot *next = NULL;
    for (unsigned i = 0; i < LSI_SLOTS; i++) {
        struct lsi_slot *slot = &s->slot[i];
        if (slot->used && slot->sequence >= from && (!next || slot->sequence < next->sequence))
            next = slot;
    }
    return next;
}

/* The slots are the restored VM's, the tasks still those of before: these go, those get theirs, in the
 * order in which they came. What a slot asks for is checked as if the guest asked now. */
void lsi_io_restore(struct dev *d)
{
    struct lsi *s = lsi_of(d);
    struct lsi_slot *slot;
    for (unsigned i = 0; i < LSI_SLOTS; i++)
        drop(&lsi_host_of(d)->task[i]);
    uint64_t from = 0;
    lsi_host_of(d)->restoring = true;
    for (unsigned n = 0; n < LSI_SLOTS && (slot = next_saved(s, from)); n++) {
        unsigned number = (unsigned)(slot - s->slot);
        from = slot->sequence + 1;
        if (check_address(d, slot->frame) || prepare(d, number)) {
            slot->used = 0;
            continue;
        }
        scsi_resume(&lsi_host_of(d)->task[number].cmd, slot->step, slot->due);
    }
    lsi_host_of(d)->restoring = false;
}
