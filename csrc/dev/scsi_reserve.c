/* Reservations of a SCSI unit.
 *
 * Follows SPC-3, sections 5.6, 6.11 and 6.12. A unit belongs to one VM and so has one initiator:
 * registrations, keys and types behave as specified, and nobody is there to be kept out. Leaves out what
 * needs a second initiator (REGISTER AND MOVE, all ports) and persistence through power loss (refused). */
#include <string.h>

#include "dev/scsi_private.h"

enum {
    REGISTER = 0, RESERVE = 1, RELEASE = 2, CLEAR = 3, PREEMPT = 4, PREEMPT_ABORT = 5, REGISTER_IGNORE = 6,
};
enum { READ_KEYS = 0, READ_RESERVATION = 1, CAPABILITIES = 2, FULL_STATUS = 3 };
#define TYPES 0x01ea /* bit per type there is: 1, 3, 5, 6, 7, 8 */
#define OUT_LIST 24

void scsi_reserve_release(struct scsi_cmd *cmd)
{
    scsi_good(cmd);
}

static unsigned full_status(const struct scsi_state *s, uint8_t *b)
{
    if (!s->pr_registered)
        return 0;
    set64(b, s->pr_key);
    b[12] = s->pr_type != 0;
    b[13] = s->pr_type;
    set16(b + 18, 1);  /* relative target port */
    set32(b + 20, 24); /* the initiator: parallel SCSI, address 7, port 1 */
    b[24] = 0x01;
    set16(b + 26, 7);
    set16(b + 30, 1);
    return 48;
}

void scsi_reserve_in(struct scsi_cmd *cmd)
{
    const struct scsi_state *s = cmd->unit->state;
    uint8_t b[64] = {0};
    unsigned n = 0;
    set32(b, s->pr_generation);
    switch (cmd->cdb[1] & 0x1f) {
    case READ_KEYS:
        n = s->pr_registered ? 8 : 0;
        set64(b + 8, n ? s->pr_key : 0);
        break;
    case READ_RESERVATION:
        n = s->pr_type ? 16 : 0;
        set64(b + 8, n ? s->pr_key : 0);
        b[21] = s->pr_type;
        break;
    case CAPABILITIES: {
        const uint8_t answer[8] = {0, 8, 0, 0x80, (uint8_t)TYPES, TYPES >> 8};
        scsi_answer(cmd, answer, sizeof(answer), be16(cmd->cdb + 7));
        return;
    }
    case FULL_STATUS: n = full_status(s, b + 8); break;
    default: scsi_check(cmd, SENSE_CDB_FIELD); return;
    }
    set32(b + 4, n);
    scsi_answer(cmd, b, 8 + n, be16(cmd->cdb + 7));
}

static void register_key(struct scsi_state *s, uint64_t key)
{
    s->pr_registered = key != 0;
    s->pr_key = key;
    s->pr_generation++;
    if (!key)
        s->pr_type = 0;
}

static void release(struct scsi_cmd *cmd, unsigned type)
{
    struct scsi_state *s = cmd->unit->state;
    if (s->pr_type && s->pr_type != type) {
        scsi_check(cmd, SENSE_RELEASE);
        return;
    }
    s->pr_type = 0;
    scsi_good(cmd);
}

static void reserve(struct scsi_cmd *cmd, unsigned type)
{
    struct scsi_state *s = cmd->unit->state;
    if (s->pr_type && s->pr_type != type) {
        scsi_end(cmd, SCSI_RESERVATION_CONFLICT);
        return;
    }
    s->pr_type = (uint8_t)type;
    scsi_good(cmd);
}

/* The only registration there can be is one's own: preempting it keeps the reservation, with the new type. */
static void preempt(struct scsi_cmd *cmd, unsigned type, uint64_t key)
{
    struct scsi_state *s = cmd->unit->state;
    if (key != s->pr_key) {
        scsi_end(cmd, SCSI_RESERVATION_CONFLICT);
        return;
    }
    s->pr_generation++;
    if (s->pr_type)
        s->pr_type = (uint8_t)type;
    scsi_good(cmd);
}

static void registered_action(struct scsi_cmd *cmd, unsigned action, unsigned type, uint64_t new_key)
{
    struct scsi_state *s = cmd->unit->state;
    switch (action) {
    case RESERVE: reserve(cmd, type); break;
    case RELEASE: release(cmd, type); break;
    case PREEMPT:
    case PREEMPT_ABORT: preempt(cmd, type, new_key); break;
    default: /* CLEAR */
        register_key(s, 0);
        scsi_good(cmd);
    }
}

void scsi_reserve_out(struct scsi_cmd *cmd)
{
    enum { APTPL = 1, ALL_PORTS = 4, SPECIFY_INITIATORS = 8 };
    struct scsi_state *s = cmd->unit->state;
    unsigned action = cmd->cdb[1] & 0x1f, type = cmd->cdb[2] & 0xf;
    bool typed = action == RESERVE || action == RELEASE || action == PREEMPT || action == PREEMPT_ABORT;
    if (action > REGISTER_IGNORE || (typed && (cmd->cdb[2] >> 4 || !(TYPES >> type & 1)))) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (be32(cmd->cdb + 5) != OUT_LIST || cmd->size < OUT_LIST) {
        scsi_check(cmd, SENSE_LIST_LENGTH);
        return;
    }
    uint64_t key = be64(cmd->data), new_key = be64(cmd->data + 8);
    if (cmd->data[20] & (APTPL | ALL_PORTS | SPECIFY_INITIATORS)) {
        scsi_check(cmd, SENSE_PARAMETER);
        return;
    }
    bool knows = s->pr_registered ? key == s->pr_key : action == REGISTER && !key;
    if (action != REGISTER_IGNORE && !knows) {
        scsi_end(cmd, SCSI_RESERVATION_CONFLICT);
    } else if (action == REGISTER || action == REGISTER_IGNORE) {
        register_key(s, new_key);
        scsi_good(cmd);
    } else {
        registered_action(cmd, action, type, new_key);
    }
}
