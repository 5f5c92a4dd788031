/* What all SCSI units have in common: how a command starts and ends, sense data, unit attentions.
 *
 * Follows SPC-3 and SAM-3. Leaves out ACA, command queue algorithms (simple, ordered and head-of-queue tags
 * are alike here: the disk's queue keeps what must be kept in order), descriptor sense by mode page. */
#include "dev/scsi.h"

#include <stdlib.h>
#include <string.h>

#include "dev/scsi_private.h"

#define PAD_LIMIT 4096u

static const struct scsi_op *op_of(const struct scsi_unit *u, uint8_t opcode)
{
    const struct scsi_op *ops = u->kind == SCSI_CDROM ? scsi_cd_ops : scsi_disk_ops;
    return &ops[opcode];
}

bool scsi_sends_data(const uint8_t *cdb)
{
    return scsi_disk_ops[cdb[0]].flags & OP_SENDS;
}

void scsi_sense_bytes(uint32_t sense, uint8_t out[SCSI_SENSE_BYTES])
{
    memset(out, 0, SCSI_SENSE_BYTES);
    out[0] = 0x70;
    out[2] = (uint8_t)(sense >> 16);
    out[7] = SCSI_SENSE_BYTES - 8;
    out[12] = (uint8_t)(sense >> 8);
    out[13] = (uint8_t)sense;
}

/* ---- unit attentions ---- */

void scsi_attention(struct scsi_unit *u, uint32_t sense)
{
    struct scsi_state *s = u->state;
    unsigned n = s->attentions % (SCSI_ATTENTIONS + 1);
    for (unsigned i = 0; i < n; i++)
        if (s->attention[i] == sense)
            return;
    if (n == SCSI_ATTENTIONS)
        n--; /* the newest matters most */
    s->attention[n] = sense;
    s->attentions = (uint8_t)(n + 1);
}

static uint32_t take_attention(struct scsi_state *s)
{
    uint32_t sense = s->attention[0];
    s->attentions = (uint8_t)(s->attentions % (SCSI_ATTENTIONS + 1) - 1);
    memmove(s->attention, s->attention + 1, sizeof(s->attention) - sizeof(s->attention[0]));
    s->attention[SCSI_ATTENTIONS - 1] = 0;
    return sense;
}

static bool has_attention(const struct scsi_state *s)
{
    return s->attentions % (SCSI_ATTENTIONS + 1);
}

/* Persistent reservations outlive it; a power-on has cleared the state before. */
void scsi_reset(struct scsi_unit *u)
{
    struct scsi_state *s = u->state, old = *s;
    *s = (struct scsi_state){
        .pr_key = old.pr_key, .pr_generation = old.pr_generation, .pr_registered = old.pr_registered,
        .pr_type = old.pr_type, .write_cache = 1,
    };
    scsi_attention(u, SENSE_RESET);
}

void scsi_medium_changed(struct scsi_unit *u)
{
    u->state->tray_open = 0;
    u->state->media_event = u->blk ? 2 : 3;
    if (u->blk)
        scsi_attention(u, SENSE_MEDIUM_CHANGED);
}

/* ---- the end of a command ---- */

void scsi_end(struct scsi_cmd *cmd, enum scsi_status status)
{
    cmd->status = (uint8_t)status;
    if (cmd->compares)
        cmd->unit->comparing = false;
    cmd->compares = false;
    free(cmd->scratch);
    cmd->scratch = NULL;
    cmd->done(cmd);
}

void scsi_good(struct scsi_cmd *cmd)
{
    scsi_end(cmd, SCSI_GOOD);
}

void scsi_check(struct scsi_cmd *cmd, uint32_t sense)
{
    cmd->sense = sense;
    cmd->data_in = 0;
    if (cmd->unit->kind != SCSI_ABSENT)
        cmd->unit->state->sense = sense;
    scsi_end(cmd, SCSI_CHECK_CONDITION);
}

void scsi_answer(struct scsi_cmd *cmd, const uint8_t *bytes, uint32_t n, uint32_t allowed)
{
    uint32_t room = allowed < cmd->size ? allowed : cmd->size;
    n = n < allowed ? n : allowed;
    cmd->overrun = n > cmd->size;
    n = n < room ? n : room;
    if (n)
        memcpy(cmd->data, bytes, n);
    cmd->data_in = n;
    if (room <= PAD_LIMIT && room > n) {
        memset(cmd->data + n, 0, room - n);
        cmd->data_in = room;
    }
    scsi_good(cmd);
}

/* ---- requests to the disk ---- */

static uint32_t sense_for(const struct blk_req *req, int status)
{
    switch (status) {
    case BLK_ENOSPC: return SENSE_SPACE_FULL;
    case BLK_EREADONLY: return SENSE_WRITE_PROTECTED;
    default: return req->op == BLK_READ ? SENSE_READ_ERROR : SENSE_WRITE_ERROR;
    }
}

static void ended(struct blk_req *req, int status)
{
    struct scsi_cmd *cmd = req->owner;
    cmd->waiting = false;
    cmd->step++;
    if (status == BLK_ECANCELLED)
        scsi_end(cmd, SCSI_TASK_ABORTED);
    else if (status != BLK_OK)
        scsi_check(cmd, sense_for(req, status));
    else
        op_of(cmd->unit, cmd->cdb[0])->run(cmd);
}

void scsi_submit(struct scsi_cmd *cmd, enum blk_op op, uint64_t off, uint64_t len, uint8_t *buf, bool fua)
{
    uint64_t due = cmd->resumed ? cmd->due : 0;
    cmd->req = (struct blk_req){
        .op = op, .fua = fua, .off = off, .len = len, .buf = buf, .done = ended, .owner = cmd,
    };
    cmd->resumed = false;
    if (blk_resubmit(cmd->unit->blk, &cmd->req, due)) {
        scsi_end(cmd, SCSI_TASK_SET_FULL);
        return;
    }
    cmd->waiting = true;
    cmd->progress(cmd);
}

bool scsi_extent(struct scsi_cmd *cmd, uint64_t *lba, uint32_t *blocks)
{
    const uint8_t *c = cmd->cdb;
    switch (c[0] >> 5) {
    case 0:
        *lba = be24(c + 1) & 0x1fffff;
        *blocks = c[4] ? c[4] : 256;
        break;
    case 4:
        *lba = be64(c + 2);
        *blocks = be32(c + 10);
        break;
    case 5:
        *lba = be32(c + 2);
        *blocks = be32(c + 6);
        break;
    default:
        *lba = be32(c + 2);
        *blocks = be16(c + 7);
    }
    if (*lba <= cmd->unit->blocks && *blocks <= cmd->unit->blocks - *lba)
        return true;
    scsi_check(cmd, SENSE_LBA_RANGE);
    return false;
}

/* ---- the start of a command ---- */

static void run(struct scsi_cmd *cmd, const struct scsi_op *op)
{
    const struct scsi_unit *u = cmd->unit;
    if (op->flags & OP_MEDIUM && (!u->blk || u->state->tray_open))
        scsi_check(cmd, u->state->tray_open ? SENSE_TRAY_OPEN : SENSE_NO_MEDIUM);
    else
        op->run(cmd);
}

void scsi_start(struct scsi_cmd *cmd)
{
    const struct scsi_op *op = op_of(cmd->unit, cmd->cdb[0]);
    struct scsi_state *s = cmd->unit->state;
    if (cmd->unit->kind == SCSI_ABSENT) {
        if (op->flags & OP_ABSENT)
            op->run(cmd);
        else
            scsi_check(cmd, SENSE_LUN);
        return;
    }
    if (!(op->flags & OP_ALWAYS) && has_attention(s)) {
        scsi_check(cmd, take_attention(s));
        return;
    }
    if (!op->run) {
        scsi_check(cmd, SENSE_OPCODE);
        return;
    }
    if (op->run != scsi_request_sense)
        s->sense = SENSE_NONE;
    run(cmd, op);
}

void scsi_resume(struct scsi_cmd *cmd, uint32_t step, uint64_t due)
{
    const struct scsi_op *op = op_of(cmd->unit, cmd->cdb[0]);
    cmd->step = step;
    cmd->due = due;
    cmd->resumed = true;
    if (cmd->unit->kind == SCSI_ABSENT || !op->run)
        scsi_check(cmd, SENSE_LUN);
    else
        run(cmd, op);
}

/* ---- commands of every unit ---- */

void scsi_test_unit_ready(struct scsi_cmd *cmd)
{
    scsi_good(cmd);
}

void scsi_request_sense(struct scsi_cmd *cmd)
{
    uint8_t bytes[SCSI_SENSE_BYTES];
    struct scsi_state *s = cmd->unit->state;
    uint32_t sense = SENSE_LUN;
    if (cmd->unit->kind != SCSI_ABSENT) {
        sense = s->sense ? s->sense : has_attention(s) ? take_attention(s) : SENSE_NONE;
        s->sense = SENSE_NONE;
    }
    scsi_sense_bytes(sense, bytes);
    if (cmd->cdb[1] & 1) { /* descriptor format, without descriptors */
        const uint8_t short_form[8] = {0x72, bytes[2], bytes[12], bytes[13]};
        scsi_answer(cmd, short_form, sizeof(short_form), cmd->cdb[4]);
        return;
    }
    scsi_answer(cmd, bytes, sizeof(bytes), cmd->cdb[4]);
}
