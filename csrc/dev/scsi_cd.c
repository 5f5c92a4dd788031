/* The CD-ROM drive: one track of data, read in blocks of 2048 bytes.
 *
 * Follows MMC-5 and, for what firmware and kernels ask at boot, SPC-3. The drive calls any medium a CD up to
 * its capacity and a DVD beyond. Leaves out audio, sub-channels, raw sectors, writing, DVD structures and
 * copy protection. */
#include <string.h>

#include "dev/scsi_private.h"

#define CD_BLOCKS 450000u /* 100 minutes: the most a CD holds */
#define FRAMES_PER_SECOND 75u
#define LEAD_IN 150u

enum { PROFILE_CD = 0x0008, PROFILE_DVD = 0x0010 };
enum { TRACK_DATA = 0x14, LEAD_OUT = 0xaa };

/* As the CDB wants addresses: blocks, or minutes, seconds and frames. */
static void set_address(uint8_t *p, uint32_t lba, bool msf)
{
    set32(p, lba);
    if (!msf)
        return;
    lba += LEAD_IN;
    p[0] = 0;
    p[1] = (uint8_t)(lba / FRAMES_PER_SECOND / 60);
    p[2] = (uint8_t)(lba / FRAMES_PER_SECOND % 60);
    p[3] = (uint8_t)(lba % FRAMES_PER_SECOND);
}

static void toc_tracks(struct scsi_cmd *cmd, bool msf, uint32_t allowed)
{
    uint8_t b[20] = {0, 0, 1, 1};
    unsigned n = 4;
    if (cmd->cdb[6] > 1 && cmd->cdb[6] != LEAD_OUT) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (cmd->cdb[6] <= 1) {
        b[n + 1] = TRACK_DATA;
        b[n + 2] = 1;
        set_address(b + n + 4, 0, msf);
        n += 8;
    }
    b[n + 1] = TRACK_DATA;
    b[n + 2] = LEAD_OUT;
    set_address(b + n + 4, (uint32_t)cmd->unit->blocks, msf);
    n += 8;
    set16(b, n - 2);
    scsi_answer(cmd, b, n, allowed);
}

static void toc_sessions(struct scsi_cmd *cmd, bool msf, uint32_t allowed)
{
    uint8_t b[12] = {0, 10, 1, 1, 0, TRACK_DATA, 1};
    set_address(b + 8, 0, msf);
    scsi_answer(cmd, b, sizeof(b), allowed);
}

/* The lead-in as it is: first track, last track, lead-out, track 1. */
static void toc_raw(struct scsi_cmd *cmd, uint32_t allowed)
{
    static const uint8_t points[] = {0xa0, 0xa1, 0xa2, 1};
    uint8_t b[4 + 4 * 11] = {0, 0, 1, 1};
    for (unsigned i = 0; i < sizeof(points); i++) {
        uint8_t *e = b + 4 + 11 * i, address[4];
        e[0] = 1;
        e[1] = TRACK_DATA;
        e[3] = points[i];
        set_address(address, points[i] == 0xa2 ? (uint32_t)cmd->unit->blocks : 0, true);
        if (points[i] < 0xa0 || points[i] == 0xa2)
            memcpy(e + 8, address + 1, 3);
        else
            e[8] = 1;
    }
    set16(b, sizeof(b) - 2);
    scsi_answer(cmd, b, sizeof(b), allowed);
}

/* Before MMC-2 the format stood in the last byte's top bits. */
static void read_toc(struct scsi_cmd *cmd)
{
    bool msf = cmd->cdb[1] & 2;
    unsigned format = cmd->cdb[2] & 0xf ? cmd->cdb[2] & 0xf : cmd->cdb[9] >> 6;
    uint32_t allowed = be16(cmd->cdb + 7);
    switch (format) {
    case 0: toc_tracks(cmd, msf, allowed); break;
    case 1: toc_sessions(cmd, msf, allowed); break;
    case 2: toc_raw(cmd, allowed); break;
    default: scsi_check(cmd, SENSE_CDB_FIELD);
    }
}

static uint16_t profile_of(const struct scsi_unit *u)
{
    return !u->blk ? 0 : u->blocks > CD_BLOCKS ? PROFILE_DVD : PROFILE_CD;
}

static void get_configuration(struct scsi_cmd *cmd)
{
    unsigned wanted = be16(cmd->cdb + 2), n = 8;
    uint16_t profile = profile_of(cmd->unit);
    const uint8_t features[3][12] = {
        {0, 0, 3, 8, 0, PROFILE_DVD, profile == PROFILE_DVD, 0, 0, PROFILE_CD, profile == PROFILE_CD, 0},
        {0, 1, 3, 8, 0, 0, 0, 1, 0, 0, 0, 0},    /* core, on SCSI */
        {0, 3, 3, 4, 0x29, 0, 0, 0},             /* removable: tray, eject, lock */
    };
    uint8_t b[8 + sizeof(features)] = {0};
    for (unsigned i = 0; i < 3; i++) {
        unsigned number = be16(features[i]), length = 4u + features[i][3];
        bool one = (cmd->cdb[1] & 3) == 2;
        if (one ? number != wanted : number < wanted)
            continue;
        memcpy(b + n, features[i], length);
        n += length;
    }
    set32(b, n - 4);
    set16(b + 6, profile);
    scsi_answer(cmd, b, n, be16(cmd->cdb + 7));
}

static void get_event(struct scsi_cmd *cmd)
{
    enum { POLLED = 1, MEDIA = 4, MEDIA_CLASS = 1 << MEDIA };
    struct scsi_state *s = cmd->unit->state;
    uint8_t b[8] = {0, 6, 0x80, MEDIA_CLASS};
    if (!(cmd->cdb[1] & POLLED)) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (!(cmd->cdb[4] & MEDIA_CLASS)) {
        b[1] = 2;
        scsi_answer(cmd, b, 4, be16(cmd->cdb + 7));
        return;
    }
    b[2] = MEDIA;
    b[4] = s->media_event & 0xf;
    b[5] = (uint8_t)((s->tray_open != 0) | (cmd->unit->blk != NULL) << 1);
    s->media_event = 0;
    scsi_answer(cmd, b, sizeof(b), be16(cmd->cdb + 7));
}

static void read_disc_information(struct scsi_cmd *cmd)
{
    /* Finished, last session finished; one session, tracks 1 to 1; what cannot be told is all ones. */
    uint8_t b[34] = {0, 32, 0x0e, 1, 1, 1, 1, 0x20};
    memset(b + 16, 0xff, 8);
    scsi_answer(cmd, b, sizeof(b), be16(cmd->cdb + 7));
}

static void read_track_information(struct scsi_cmd *cmd)
{
    uint8_t b[36] = {0, 34, 1, 1, 0, 4, 1};
    set32(b + 24, (uint32_t)cmd->unit->blocks);
    scsi_answer(cmd, b, sizeof(b), be16(cmd->cdb + 7));
}

static void start_stop(struct scsi_cmd *cmd)
{
    enum { START = 1, LOAD_EJECT = 2 };
    struct scsi_state *s = cmd->unit->state;
    bool start = cmd->cdb[4] & START;
    if (cmd->cdb[4] & LOAD_EJECT) {
        if (!start && s->locked) {
            scsi_check(cmd, SENSE_REMOVAL_PREVENTED);
            return;
        }
        if (start && s->tray_open && cmd->unit->blk)
            scsi_attention(cmd->unit, SENSE_MEDIUM_CHANGED);
        if (s->tray_open != !start)
            s->media_event = start ? 2 : 3;
        s->tray_open = !start;
    }
    scsi_good(cmd);
}

static void prevent_removal(struct scsi_cmd *cmd)
{
    cmd->unit->state->locked = cmd->cdb[4] & 1;
    scsi_good(cmd);
}

static void mechanism_status(struct scsi_cmd *cmd)
{
    uint8_t b[8] = {0, (uint8_t)(cmd->unit->state->tray_open ? 0x10 : 0), 0, 0, 0, 1};
    scsi_answer(cmd, b, sizeof(b), be16(cmd->cdb + 8));
}

/* User data of 2048 bytes and nothing around it, or nothing at all. */
static void read_cd(struct scsi_cmd *cmd)
{
    uint64_t lba = be32(cmd->cdb + 2), blocks = be24(cmd->cdb + 6), block = cmd->unit->block;
    unsigned parts = cmd->cdb[9] & 0xf8, type = cmd->cdb[1] >> 2 & 7;
    if ((parts && parts != 0x10) || cmd->cdb[9] & 6 || cmd->cdb[10] & 7 || (type && type != 2 && type != 4)) {
        scsi_check(cmd, type == 1 ? SENSE_MODE_FOR_TRACK : SENSE_CDB_FIELD);
        return;
    }
    if (lba > cmd->unit->blocks || blocks > cmd->unit->blocks - lba) {
        scsi_check(cmd, SENSE_LBA_RANGE);
        return;
    }
    uint64_t bytes = parts ? blocks * block : 0;
    if (bytes > cmd->size) {
        cmd->overrun = true;
        bytes = cmd->size / block * block;
    }
    cmd->data_in = (uint32_t)bytes;
    if (cmd->step || !bytes)
        scsi_good(cmd);
    else
        scsi_submit(cmd, BLK_READ, lba * block, bytes, cmd->data, false);
}

static void no_structure(struct scsi_cmd *cmd)
{
    scsi_check(cmd, SENSE_INCOMPATIBLE_MEDIUM);
}

static void speed(struct scsi_cmd *cmd)
{
    scsi_good(cmd);
}

const struct scsi_op scsi_cd_ops[256] = {
    [0x00] = {scsi_test_unit_ready, OP_MEDIUM},
    [0x03] = {scsi_request_sense, OP_ALWAYS},
    [0x08] = {scsi_read, OP_MEDIUM},
    [0x12] = {scsi_inquiry, OP_ALWAYS},
    [0x15] = {scsi_mode_select, OP_SENDS},
    [0x16] = {scsi_reserve_release, 0},
    [0x17] = {scsi_reserve_release, 0},
    [0x1a] = {scsi_mode_sense, 0},
    [0x1b] = {start_stop, 0},
    [0x1e] = {prevent_removal, 0},
    [0x25] = {scsi_read_capacity, OP_MEDIUM},
    [0x28] = {scsi_read, OP_MEDIUM},
    [0x43] = {read_toc, OP_MEDIUM},
    [0x46] = {get_configuration, OP_ALWAYS},
    [0x4a] = {get_event, OP_ALWAYS},
    [0x51] = {read_disc_information, OP_MEDIUM},
    [0x52] = {read_track_information, OP_MEDIUM},
    [0x55] = {scsi_mode_select, OP_SENDS},
    [0x5a] = {scsi_mode_sense, 0},
    [0xa0] = {scsi_report_luns, OP_ALWAYS},
    [0xa8] = {scsi_read, OP_MEDIUM},
    [0xad] = {no_structure, OP_MEDIUM},
    [0xbb] = {speed, 0},
    [0xbd] = {mechanism_status, 0},
    [0xbe] = {read_cd, OP_MEDIUM},
};
