/* The disk: reading, writing, unmapping, comparing, and how large it is.
 *
 * Follows SBC-3. A host adapter may be given less room than the CDB asks for: a read then moves what fits
 * and says "overrun", a write does nothing. Leaves out protection information (RDPROTECT and WRPROTECT
 * must be 0), FORMAT UNIT, REASSIGN BLOCKS, XOR commands, 32-byte CDBs. */
#include <stdlib.h>
#include <string.h>

#include "dev/scsi_private.h"

#define PROTECT 0xe0
#define FUA 0x08
#define MAX_WRITE_SAME 65536u  /* blocks; VPD page B0 says so */
#define MAX_UNMAP 256u         /* descriptors; there too */
#define MAX_UNMAP_BLOCKS 0x400000u
#define PATTERN_BYTES (1u << 20)

static bool protection_asked(const struct scsi_cmd *cmd)
{
    return cmd->cdb[0] >> 5 && cmd->cdb[1] & PROTECT;
}

static bool keeps_off(const struct scsi_unit *u, uint64_t off, uint64_t len)
{
    return u->comparing && off < u->compare_off + u->compare_len && u->compare_off < off + len;
}

void scsi_read(struct scsi_cmd *cmd)
{
    uint64_t lba;
    uint32_t blocks;
    if (protection_asked(cmd)) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (!scsi_extent(cmd, &lba, &blocks))
        return;
    uint64_t bytes = (uint64_t)blocks * cmd->unit->block;
    if (bytes > cmd->size) {
        cmd->overrun = true;
        bytes = cmd->size / 512 * 512;
    }
    cmd->data_in = (uint32_t)bytes;
    if (cmd->step || !bytes)
        scsi_good(cmd);
    else
        scsi_submit(cmd, BLK_READ, lba * cmd->unit->block, bytes, cmd->data, false);
}

/* Everything but the extent that a command which changes the medium needs. False: it has ended. */
static bool may_write(struct scsi_cmd *cmd)
{
    if (cmd->unit->readonly)
        scsi_check(cmd, SENSE_WRITE_PROTECTED);
    else if (protection_asked(cmd))
        scsi_check(cmd, SENSE_CDB_FIELD);
    else
        return true;
    return false;
}

/* Is all that the CDB wants sent? */
static bool sent(struct scsi_cmd *cmd, uint64_t bytes)
{
    if (bytes <= cmd->size)
        return true;
    cmd->overrun = true;
    scsi_check(cmd, SENSE_CDB_FIELD);
    return false;
}

static void write_blocks(struct scsi_cmd *cmd, bool fua)
{
    uint64_t lba;
    uint32_t blocks;
    if (!may_write(cmd) || !scsi_extent(cmd, &lba, &blocks))
        return;
    uint64_t bytes = (uint64_t)blocks * cmd->unit->block, off = lba * cmd->unit->block;
    if (!sent(cmd, bytes))
        return;
    if (cmd->step || !bytes)
        scsi_good(cmd);
    else if (keeps_off(cmd->unit, off, bytes))
        scsi_end(cmd, SCSI_BUSY);
    else
        scsi_submit(cmd, BLK_WRITE, off, bytes, cmd->data, fua || !cmd->unit->state->write_cache);
}

static void write(struct scsi_cmd *cmd)
{
    write_blocks(cmd, cmd->cdb[0] >> 5 && cmd->cdb[1] & FUA);
}

static void write_and_verify(struct scsi_cmd *cmd)
{
    write_blocks(cmd, true);
}

static bool get_scratch(struct scsi_cmd *cmd, uint64_t bytes)
{
    if (!cmd->scratch)
        cmd->scratch = malloc(bytes);
    if (!cmd->scratch)
        scsi_end(cmd, SCSI_BUSY);
    return cmd->scratch;
}

/* Without data: reading is what verifies. With data: equal or not. */
static void verify(struct scsi_cmd *cmd)
{
    unsigned check = cmd->cdb[1] >> 1 & 3;
    uint64_t lba;
    uint32_t blocks;
    if (protection_asked(cmd) || check > 1) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (!scsi_extent(cmd, &lba, &blocks))
        return;
    uint64_t bytes = (uint64_t)blocks * cmd->unit->block;
    if (!check || !bytes) {
        scsi_good(cmd);
        return;
    }
    if (!sent(cmd, bytes))
        return;
    if (cmd->step)
        memcmp(cmd->data, cmd->scratch, bytes) ? scsi_check(cmd, SENSE_MISCOMPARE) : scsi_good(cmd);
    else if (get_scratch(cmd, bytes))
        scsi_submit(cmd, BLK_READ, lba * cmd->unit->block, bytes, cmd->scratch, false);
}

/* Data: what must be there, then what shall be. A restored command that had compared goes on to write. */
static void compare_and_write(struct scsi_cmd *cmd)
{
    uint64_t lba = be64(cmd->cdb + 2), bytes = (uint64_t)cmd->cdb[13] * cmd->unit->block;
    if (!may_write(cmd) || !sent(cmd, 2 * bytes))
        return;
    if (lba > cmd->unit->blocks || cmd->cdb[13] > cmd->unit->blocks - lba) {
        scsi_check(cmd, SENSE_LBA_RANGE);
        return;
    }
    uint64_t off = lba * cmd->unit->block;
    if (!bytes || cmd->step > 1) {
        scsi_good(cmd);
        return;
    }
    if (!cmd->compares && keeps_off(cmd->unit, off, bytes)) {
        scsi_end(cmd, SCSI_BUSY);
        return;
    }
    if (!cmd->compares && cmd->unit->comparing) { /* one at a time */
        scsi_end(cmd, SCSI_BUSY);
        return;
    }
    cmd->compares = cmd->unit->comparing = true;
    cmd->unit->compare_off = off;
    cmd->unit->compare_len = bytes;
    if (!cmd->step) {
        if (get_scratch(cmd, bytes))
            scsi_submit(cmd, BLK_READ, off, bytes, cmd->scratch, false);
    } else if (!cmd->resumed && memcmp(cmd->data, cmd->scratch, bytes)) {
        scsi_check(cmd, SENSE_MISCOMPARE);
    } else {
        scsi_submit(cmd, BLK_WRITE, off, bytes, cmd->data + bytes, true);
    }
}

static void synchronize(struct scsi_cmd *cmd)
{
    if (cmd->step)
        scsi_good(cmd);
    else
        scsi_submit(cmd, BLK_FLUSH, 0, 0, NULL, false);
}

/* ---- unmapping ---- */

static bool is_thin(const struct scsi_unit *u)
{
    return blk_info(u->blk)->thin;
}

static bool all_zero(const uint8_t *p, uint32_t n)
{
    return !p[0] && !memcmp(p, p + 1, n - 1);
}

/* A pattern goes out in pieces, one a step. */
static void write_pattern(struct scsi_cmd *cmd, uint64_t off, uint64_t bytes)
{
    uint64_t done = (uint64_t)cmd->step * PATTERN_BYTES;
    uint32_t block = cmd->unit->block;
    if (done >= bytes) {
        scsi_good(cmd);
        return;
    }
    if (!cmd->scratch) {
        if (!get_scratch(cmd, PATTERN_BYTES))
            return;
        for (uint32_t at = 0; at < PATTERN_BYTES; at += block)
            memcpy(cmd->scratch + at, cmd->data, block);
    }
    uint64_t n = bytes - done < PATTERN_BYTES ? bytes - done : PATTERN_BYTES;
    scsi_submit(cmd, BLK_WRITE, off + done, n, cmd->scratch, !cmd->unit->state->write_cache);
}

static void write_same(struct scsi_cmd *cmd)
{
    enum { LBDATA_PBDATA = 0x06, ANCHOR = 0x10, UNMAP = 0x08, NDOB = 0x01 };
    bool no_data = cmd->cdb[0] == 0x93 && cmd->cdb[1] & NDOB, unmap = cmd->cdb[1] & UNMAP;
    uint32_t block = cmd->unit->block, blocks;
    uint64_t lba;
    if (!may_write(cmd) || !scsi_extent(cmd, &lba, &blocks))
        return;
    if (!blocks || blocks > MAX_WRITE_SAME || cmd->cdb[1] & (LBDATA_PBDATA | ANCHOR) ||
        (unmap && !is_thin(cmd->unit))) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (!no_data && !sent(cmd, block))
        return;
    uint64_t off = lba * block, bytes = (uint64_t)blocks * block;
    if (keeps_off(cmd->unit, off, bytes))
        scsi_end(cmd, SCSI_BUSY);
    else if (!no_data && !all_zero(cmd->data, block))
        write_pattern(cmd, off, bytes);
    else if (cmd->step)
        scsi_good(cmd);
    else
        scsi_submit(cmd, unmap && blk_info(cmd->unit->blk)->discard_zeroes ? BLK_DISCARD : BLK_WRITE_ZEROES,
                    off, bytes, NULL, !cmd->unit->state->write_cache);
}

/* The `index`th descriptor that names blocks at all, or NULL. */
static const uint8_t *unmap_descriptor(const struct scsi_cmd *cmd, uint32_t count, uint32_t index)
{
    for (uint32_t i = 0; i < count; i++)
        if (be32(cmd->data + 8 + 16 * i + 8) && index-- == 0)
            return cmd->data + 8 + 16 * i;
    return NULL;
}

static bool unmap_valid(struct scsi_cmd *cmd, uint32_t count)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t lba = be64(cmd->data + 8 + 16 * i), n = be32(cmd->data + 8 + 16 * i + 8);
        if (lba > cmd->unit->blocks || n > cmd->unit->blocks - lba) {
            scsi_check(cmd, SENSE_LBA_RANGE);
            return false;
        }
        total += n;
    }
    if (total > MAX_UNMAP_BLOCKS)
        scsi_check(cmd, SENSE_PARAMETER);
    return total <= MAX_UNMAP_BLOCKS;
}

static void unmap(struct scsi_cmd *cmd)
{
    uint32_t length = be16(cmd->cdb + 7), count = 0;
    if (!is_thin(cmd->unit) || cmd->cdb[1] & 1) {
        scsi_check(cmd, is_thin(cmd->unit) ? SENSE_CDB_FIELD : SENSE_OPCODE);
        return;
    }
    if (!may_write(cmd) || !sent(cmd, length))
        return;
    if (length && length < 8) {
        scsi_check(cmd, SENSE_LIST_LENGTH);
        return;
    }
    if (length)
        count = (be16(cmd->data + 2) < length - 8 ? be16(cmd->data + 2) : length - 8) / 16;
    if (count > MAX_UNMAP) {
        scsi_check(cmd, SENSE_PARAMETER);
        return;
    }
    if (!unmap_valid(cmd, count))
        return;
    const uint8_t *next = unmap_descriptor(cmd, count, cmd->step);
    uint64_t block = cmd->unit->block;
    if (!next)
        scsi_good(cmd);
    else if (keeps_off(cmd->unit, be64(next) * block, be32(next + 8) * block))
        scsi_end(cmd, SCSI_BUSY);
    else
        scsi_submit(cmd, BLK_DISCARD, be64(next) * block, be32(next + 8) * block, NULL, false);
}

/* ---- size ---- */

void scsi_read_capacity(struct scsi_cmd *cmd)
{
    uint8_t bytes[8];
    uint64_t last = cmd->unit->blocks - 1;
    if (!(cmd->cdb[8] & 1) && be32(cmd->cdb + 2)) { /* an address without PMI */
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    set32(bytes, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
    set32(bytes + 4, cmd->unit->block);
    scsi_answer(cmd, bytes, sizeof(bytes), sizeof(bytes));
}

static void service_in(struct scsi_cmd *cmd)
{
    enum { READ_CAPACITY_16 = 0x10, LBPME = 0x80, LBPRZ = 0x40 };
    uint8_t bytes[32] = {0};
    if ((cmd->cdb[1] & 0x1f) != READ_CAPACITY_16) {
        scsi_check(cmd, SENSE_OPCODE);
        return;
    }
    set64(bytes, cmd->unit->blocks - 1);
    set32(bytes + 8, cmd->unit->block);
    if (is_thin(cmd->unit))
        bytes[14] = LBPME | (blk_info(cmd->unit->blk)->discard_zeroes ? LBPRZ : 0);
    scsi_answer(cmd, bytes, sizeof(bytes), be32(cmd->cdb + 10));
}

/* ---- the rest ---- */

static void seek(struct scsi_cmd *cmd)
{
    if (be32(cmd->cdb + 2) >= cmd->unit->blocks)
        scsi_check(cmd, SENSE_LBA_RANGE);
    else
        scsi_good(cmd);
}

/* Stopping a disk puts its cache on the medium. */
static void start_stop(struct scsi_cmd *cmd)
{
    if (cmd->cdb[4] & 1)
        scsi_good(cmd);
    else
        synchronize(cmd);
}

static void prevent_removal(struct scsi_cmd *cmd)
{
    cmd->unit->state->locked = cmd->cdb[4] & 1;
    scsi_good(cmd);
}

static void read_defects(struct scsi_cmd *cmd)
{
    const uint8_t none[4] = {0, cmd->cdb[2] & 0x1f};
    scsi_answer(cmd, none, sizeof(none), be16(cmd->cdb + 7));
}

enum { BUFFER_ECHO = 0x0a, BUFFER_ECHO_DESCRIPTOR = 0x0b };

static void read_buffer(struct scsi_cmd *cmd)
{
    static const uint8_t descriptor[4] = {0, 0, 0, SCSI_ECHO_BYTES};
    uint32_t allowed = be24(cmd->cdb + 6);
    switch (cmd->cdb[1] & 0x1f) {
    case BUFFER_ECHO: scsi_answer(cmd, cmd->unit->state->echo, SCSI_ECHO_BYTES, allowed); break;
    case BUFFER_ECHO_DESCRIPTOR: scsi_answer(cmd, descriptor, sizeof(descriptor), allowed); break;
    default: scsi_check(cmd, SENSE_CDB_FIELD);
    }
}

static void write_buffer(struct scsi_cmd *cmd)
{
    uint32_t length = be24(cmd->cdb + 6);
    if ((cmd->cdb[1] & 0x1f) != BUFFER_ECHO || length > SCSI_ECHO_BYTES) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (!sent(cmd, length))
        return;
    if (length)
        memcpy(cmd->unit->state->echo, cmd->data, length);
    scsi_good(cmd);
}

const struct scsi_op scsi_disk_ops[256] = {
    [0x00] = {scsi_test_unit_ready, OP_MEDIUM},
    [0x03] = {scsi_request_sense, OP_ALWAYS | OP_ABSENT},
    [0x08] = {scsi_read, OP_MEDIUM},
    [0x0a] = {write, OP_MEDIUM | OP_SENDS},
    [0x12] = {scsi_inquiry, OP_ALWAYS | OP_ABSENT},
    [0x15] = {scsi_mode_select, OP_SENDS},
    [0x16] = {scsi_reserve_release, 0},
    [0x17] = {scsi_reserve_release, 0},
    [0x1a] = {scsi_mode_sense, 0},
    [0x1b] = {start_stop, 0},
    [0x1e] = {prevent_removal, 0},
    [0x25] = {scsi_read_capacity, OP_MEDIUM},
    [0x28] = {scsi_read, OP_MEDIUM},
    [0x2a] = {write, OP_MEDIUM | OP_SENDS},
    [0x2b] = {seek, OP_MEDIUM},
    [0x2e] = {write_and_verify, OP_MEDIUM | OP_SENDS},
    [0x2f] = {verify, OP_MEDIUM | OP_SENDS},
    [0x35] = {synchronize, OP_MEDIUM},
    [0x37] = {read_defects, 0},
    [0x3b] = {write_buffer, OP_SENDS},
    [0x3c] = {read_buffer, 0},
    [0x41] = {write_same, OP_MEDIUM | OP_SENDS},
    [0x42] = {unmap, OP_MEDIUM | OP_SENDS},
    [0x55] = {scsi_mode_select, OP_SENDS},
    [0x56] = {scsi_reserve_release, 0},
    [0x57] = {scsi_reserve_release, 0},
    [0x5a] = {scsi_mode_sense, 0},
    [0x5e] = {scsi_reserve_in, 0},
    [0x5f] = {scsi_reserve_out, OP_SENDS},
    [0x88] = {scsi_read, OP_MEDIUM},
    [0x89] = {compare_and_write, OP_MEDIUM | OP_SENDS},
    [0x8a] = {write, OP_MEDIUM | OP_SENDS},
    [0x8e] = {write_and_verify, OP_MEDIUM | OP_SENDS},
    [0x8f] = {verify, OP_MEDIUM | OP_SENDS},
    [0x91] = {synchronize, OP_MEDIUM},
    [0x93] = {write_same, OP_MEDIUM | OP_SENDS},
    [0x9e] = {service_in, OP_MEDIUM},
    [0xa0] = {scsi_report_luns, OP_ALWAYS | OP_ABSENT},
    [0xa8] = {scsi_read, OP_MEDIUM},
    [0xaa] = {write, OP_MEDIUM | OP_SENDS},
    [0xae] = {write_and_verify, OP_MEDIUM | OP_SENDS},
    [0xaf] = {verify, OP_MEDIUM | OP_SENDS},
};
