/* Mode pages of disks and CD drives: MODE SENSE and MODE SELECT.
 *
 * Follows SPC-3, section 7.4, SBC-3, section 6.4, and MMC-5, chapter 7. One bit can be changed: a disk's
 * write cache. Pages come from a table of their bytes; a few are patched with what the unit is. Leaves out
 * saved pages. */
#include <string.h>

#include "dev/scsi_private.h"

#define CACHING 0x08
#define WRITE_CACHE 0x04
#define ALL_PAGES 0x3f
#define PAGE_BYTES 24 /* the longest, header included */
#define LIST_BYTES 256
#define HEADS 255u
#define SECTORS 63u

enum { DISKS = 1, CDS = 2, PARALLEL = 4 };

static const struct mode_page {
    uint8_t of; /* which units have it */
    uint8_t bytes[PAGE_BYTES];
} pages[] = {
    {DISKS, {0x01, 0x0a, 0x80}},
    {CDS, {0x01, 0x0a, 0x00, 0x20}},
    {DISKS | PARALLEL, {0x02, 0x0e}},
    {DISKS, {0x03, 0x16}},
    {DISKS, {0x04, 0x16}},
    {DISKS, {CACHING, 0x12}},
    {DISKS | CDS, {0x0a, 0x0a}},
    {DISKS, {0x1c, 0x0a}},
    {CDS, {0x1d, 0x0a}},
    /* Reads CD-R and DVD; plays; locks and ejects, a tray; speeds of 8x. */
    {CDS, {0x2a, 0x14, 0x3b, 0x00, 0x71, 0x60, 0x29, 0x00, 0x05, 0x84, 0x01, 0x00, 0x02, 0x00, 0x05, 0x84}},
};
#define PAGES (sizeof(pages) / sizeof(pages[0]))

static bool has(const struct scsi_unit *u, const struct mode_page *p)
{
    if (p->of & PARALLEL && !u->parallel)
        return false;
    return p->of & (u->kind == SCSI_CDROM ? CDS : DISKS);
}

static unsigned page_length(const struct mode_page *p)
{
    return 2u + p->bytes[1];
}

static uint32_t cylinders(const struct scsi_unit *u)
{
    uint64_t n = u->blocks / (HEADS * SECTORS);
    return n > 0xffffff ? 0xffffff : n ? (uint32_t)n : 1;
}

/* `what` is the CDB's page control: 0 current, 1 changeable bits, 2 default. */
static void fill(const struct scsi_unit *u, const struct mode_page *p, unsigned what, uint8_t *out)
{
    memcpy(out, p->bytes, page_length(p));
    if (what == 1) {
        memset(out + 2, 0, page_length(p) - 2);
        out[2] = p->bytes[0] == CACHING ? WRITE_CACHE : 0;
        return;
    }
    switch (p->bytes[0]) {
    case 0x03:
        set16(out + 10, SECTORS);
        set16(out + 12, u->block);
        break;
    case 0x04:
        set16(out + 2, cylinders(u) >> 8);
        out[4] = (uint8_t)cylinders(u);
        out[5] = HEADS;
        set16(out + 20, 1); /* nothing rotates */
        break;
    case CACHING: out[2] = what == 2 || u->state->write_cache ? WRITE_CACHE : 0; break;
    default: break;
    }
}

static uint8_t device_specific(const struct scsi_unit *u)
{
    enum { WRITE_PROTECTED = 0x80, DPO_FUA = 0x10 };
    if (u->kind == SCSI_CDROM)
        return 0;
    return DPO_FUA | (u->readonly ? WRITE_PROTECTED : 0);
}

static unsigned block_descriptor(const struct scsi_unit *u, uint8_t *out)
{
    memset(out, 0, 8);
    set32(out, u->blocks > 0xffffff ? 0 : (uint32_t)u->blocks);
    set32(out + 4, u->block);
    return 8;
}

void scsi_mode_sense(struct scsi_cmd *cmd)
{
    const uint8_t *c = cmd->cdb;
    const struct scsi_unit *u = cmd->unit;
    bool ten = c[0] == 0x5a;
    unsigned what = c[2] >> 6, code = c[2] & 0x3f, at = ten ? 8 : 4, found = 0, descriptor = 0;
    uint8_t b[LIST_BYTES] = {0};
    if (what == 3 || (c[3] && c[3] != 0xff)) {
        scsi_check(cmd, what == 3 ? SENSE_SAVING : SENSE_CDB_FIELD);
        return;
    }
    if (!(c[1] & 8) && u->kind == SCSI_DISK)
        at += descriptor = block_descriptor(u, b + at);
    for (unsigned i = 0; i < PAGES; i++) {
        if (!has(u, &pages[i]) || (code != ALL_PAGES && code != pages[i].bytes[0]))
            continue;
        fill(u, &pages[i], what, b + at);
        at += page_length(&pages[i]);
        found++;
    }
    if (!found && code) { /* page 0: only the header */
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (ten) {
        set16(b, at - 2);
        b[3] = device_specific(u);
        set16(b + 6, descriptor);
    } else {
        b[0] = (uint8_t)(at - 1);
        b[2] = device_specific(u);
        b[3] = (uint8_t)descriptor;
    }
    scsi_answer(cmd, b, at, ten ? be16(c + 7) : c[4]);
}

/* ---- MODE SELECT ---- */

static const struct mode_page *page_of(const struct scsi_unit *u, uint8_t code)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (has(u, &pages[i]) && pages[i].bytes[0] == code)
            return &pages[i];
    return NULL;
}

/* The page at `p` of a parameter list: is it one that may be set so? Its length, or 0. */
static unsigned check_page(const struct scsi_unit *u, const uint8_t *p, unsigned left)
{
    uint8_t now[PAGE_BYTES], mask[PAGE_BYTES];
    const struct mode_page *page = left >= 2 ? page_of(u, p[0] & 0x3f) : NULL;
    if (!page || p[0] & 0x40 || p[1] != page->bytes[1] || page_length(page) > left)
        return 0;
    fill(u, page, 0, now);
    fill(u, page, 1, mask);
    for (unsigned i = 2; i < page_length(page); i++)
        if ((p[i] ^ now[i]) & ~mask[i])
            return 0;
    return page_length(page);
}

static void apply_page(struct scsi_unit *u, const uint8_t *p)
{
    if ((p[0] & 0x3f) == CACHING)
        u->state->write_cache = (p[2] & WRITE_CACHE) != 0;
}

/* Sense of the first thing wrong with the list; 0: it may be applied. */
static uint32_t check_list(const struct scsi_cmd *cmd, unsigned first, unsigned length)
{
    for (unsigned at = first, n; at < length; at += n)
        if (!(n = check_page(cmd->unit, cmd->data + at, length - at)))
            return SENSE_PARAMETER;
    return SENSE_NONE;
}

void scsi_mode_select(struct scsi_cmd *cmd)
{
    enum { SAVE = 1 };
    bool ten = cmd->cdb[0] == 0x55;
    unsigned length = ten ? be16(cmd->cdb + 7) : cmd->cdb[4], header = ten ? 8 : 4;
    if (cmd->cdb[1] & SAVE) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (!length) {
        scsi_good(cmd);
        return;
    }
    if (length < header || length > cmd->size || length > LIST_BYTES) {
        scsi_check(cmd, SENSE_LIST_LENGTH);
        return;
    }
    unsigned descriptor = ten ? be16(cmd->data + 6) : cmd->data[3], first = header + descriptor;
    if ((descriptor && descriptor != 8) || first > length ||
        (descriptor && be24(cmd->data + header + 5) != cmd->unit->block)) {
        scsi_check(cmd, SENSE_PARAMETER);
        return;
    }
    uint32_t sense = check_list(cmd, first, length);
    if (sense) {
        scsi_check(cmd, sense);
        return;
    }
    for (unsigned at = first; at < length; at += 2u + cmd->data[at + 1])
        apply_page(cmd->unit, cmd->data + at);
    scsi_good(cmd);
}
