/* Who a SCSI unit is: INQUIRY, its vital product data pages, REPORT LUNS.
 *
 * Follows SPC-3, sections 6.4, 6.21 and 7.6, and SBC-3, section 6.5. Domain validation reads INQUIRY data
 * many times and compares: nothing in it may change. Names are VMware's, whose OUI (00:0c:29) the
 * identifiers carry; they are made of the serial number, or of the unit's place if it has none. */
#include <stdio.h>
#include <string.h>

#include "dev/scsi_private.h"

#define STANDARD_BYTES 96
#define SERIAL_PAGE 0x80
#define LIMITS_BYTES 64

enum { TYPE_DISK = 0x00, TYPE_CD = 0x05, NOBODY = 0x7f, REMOVABLE = 0x80, SPC_3 = 5 };
enum { COMMAND_QUEUE = 0x02, SYNC_WIDE16 = 0x30, CLOCKING_QAS_IUS = 0x0f };

static uint8_t device_type(const struct scsi_unit *u)
{
    return u->kind == SCSI_ABSENT ? NOBODY : u->kind == SCSI_CDROM ? TYPE_CD : TYPE_DISK;
}

static void pad(uint8_t *at, const char *text, size_t n)
{
    size_t len = strnlen(text, n);
    memset(at, ' ', n);
    memcpy(at, text, len);
}

static void standard(struct scsi_cmd *cmd)
{
    const struct scsi_unit *u = cmd->unit;
    const char *product = u->kind == SCSI_CDROM ? "Virtual CD-ROM" : "Virtual disk";
    uint8_t b[STANDARD_BYTES] = {0};
    b[0] = device_type(u);
    b[1] = u->kind == SCSI_CDROM ? REMOVABLE : 0;
    b[2] = SPC_3;
    b[3] = 0x12; /* hierarchical LUNs, response format 2 */
    b[4] = STANDARD_BYTES - 5;
    b[7] = COMMAND_QUEUE | (u->parallel ? SYNC_WIDE16 : 0);
    pad(b + 8, "VMware", 8);
    pad(b + 16, u->product[0] ? u->product : product, 16);
    pad(b + 32, "1.0", 4);
    b[56] = u->parallel ? CLOCKING_QAS_IUS : 0;
    scsi_answer(cmd, b, sizeof(b), be16(cmd->cdb + 3));
}

/* ---- vital product data ---- */

static void serial_of(const struct scsi_unit *u, char out[SCSI_SERIAL_BYTES + 1])
{
    snprintf(out, SCSI_SERIAL_BYTES + 1, "%s", u->serial);
    if (!u->serial[0])
        snprintf(out, SCSI_SERIAL_BYTES + 1, "vmm%04x", u->address);
}

static uint64_t hash(const char *text, uint64_t h)
{
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 0x100000001b3;
    return h;
}

static unsigned page_serial(const struct scsi_unit *u, uint8_t *p)
{
    char serial[SCSI_SERIAL_BYTES + 1];
    serial_of(u, serial);
    memcpy(p, serial, strlen(serial));
    return (unsigned)strlen(serial);
}

/* An NAA 6 identifier, and vendor with serial number in ASCII. */
static unsigned page_identification(const struct scsi_unit *u, uint8_t *p)
{
    char serial[SCSI_SERIAL_BYTES + 1];
    serial_of(u, serial);
    const uint8_t naa[4] = {1, 3, 0, 16}, t10[4] = {2, 1, 0, (uint8_t)(8 + strlen(serial))};
    uint64_t high = hash(serial, 0xcbf29ce484222325), low = hash(serial, high);
    memcpy(p, naa, sizeof(naa));
    set64(p + 4, 0x6000c29000000000 | (high & 0xfffffffff));
    set64(p + 12, low);
    memcpy(p + 20, t10, sizeof(t10));
    pad(p + 24, "VMware", 8);
    memcpy(p + 32, serial, strlen(serial));
    return 32 + (unsigned)strlen(serial);
}

static bool thin(const struct scsi_unit *u)
{
    return u->blk && blk_info(u->blk)->thin;
}

static unsigned page_limits(const struct scsi_unit *u, uint8_t *p)
{
    memset(p, 0, LIMITS_BYTES - 4);
    p[0] = 1;                                      /* WRITE SAME with a length of 0 is refused */
    p[1] = 255;                                    /* blocks of COMPARE AND WRITE */
    set32(p + 4, SCSI_MAX_TRANSFER / u->block);
    if (thin(u)) {
        set32(p + 16, 0x400000);                   /* blocks and descriptors of UNMAP */
        set32(p + 20, 256);
        set32(p + 24, 1);
    }
    set64(p + 32, 65536);                          /* blocks of WRITE SAME */
    return LIMITS_BYTES - 4;
}

static unsigned page_characteristics(const struct scsi_unit *u, uint8_t *p)
{
    (void)u;
    memset(p, 0, LIMITS_BYTES - 4);
    set16(p, 1); /* nothing rotates */
    return LIMITS_BYTES - 4;
}

static unsigned page_provisioning(const struct scsi_unit *u, uint8_t *p)
{
    enum { UNMAP_AND_WRITE_SAME = 0xe0, READS_ZERO = 0x04, THIN = 2 };
    p[0] = 0;
    p[1] = UNMAP_AND_WRITE_SAME | (blk_info(u->blk)->discard_zeroes ? READS_ZERO : 0);
    p[2] = THIN;
    p[3] = 0;
    return 4;
}

static bool always(const struct scsi_unit *u) { return (void)u, true; }
static bool if_disk(const struct scsi_unit *u) { return u->kind == SCSI_DISK; }
static bool if_thin(const struct scsi_unit *u) { return u->kind == SCSI_DISK && thin(u); }

static const struct {
    uint8_t code;
    bool (*has)(const struct scsi_unit *u);
    unsigned (*fill)(const struct scsi_unit *u, uint8_t *p); /* at most 128 bytes */
} pages[] = {
    {0x80, always, page_serial},          {0x83, always, page_identification},
    {0xb0, if_disk, page_limits},         {0xb1, if_disk, page_characteristics},
    {0xb2, if_thin, page_provisioning},
};
#define PAGES (sizeof(pages) / sizeof(pages[0]))

static unsigned page_list(const struct scsi_unit *u, uint8_t *p)
{
    unsigned n = 0;
    p[n++] = 0;
    for (unsigned i = 0; i < PAGES; i++)
        if (pages[i].has(u))
            p[n++] = pages[i].code;
    return n;
}

static unsigned fill_page(const struct scsi_unit *u, uint8_t code, uint8_t *p)
{
    if (code == 0)
        return page_list(u, p);
    for (unsigned i = 0; i < PAGES; i++)
        if (pages[i].code == code && pages[i].has(u))
            return pages[i].fill(u, p);
    return 0;
}

void scsi_inquiry(struct scsi_cmd *cmd)
{
    enum { EVPD = 1, CMDDT = 2 };
    uint8_t b[4 + 128] = {device_type(cmd->unit), cmd->cdb[2]};
    if (cmd->cdb[1] & CMDDT || (!(cmd->cdb[1] & EVPD) && cmd->cdb[2])) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    if (!(cmd->cdb[1] & EVPD)) {
        standard(cmd);
        return;
    }
    unsigned n = cmd->unit->kind == SCSI_ABSENT ? 0 : fill_page(cmd->unit, cmd->cdb[2], b + 4);
    if (!n) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    set16(b + 2, n);
    scsi_answer(cmd, b, 4 + n, be16(cmd->cdb + 3));
}

/* LUN 0 is always listed: it answers for the target even where no unit is. */
void scsi_report_luns(struct scsi_cmd *cmd)
{
    uint8_t b[8 + 8 * 8] = {0};
    unsigned n = 0;
    uint32_t allowed = be32(cmd->cdb + 6);
    if (cmd->cdb[2] > 2 || allowed < 16) {
        scsi_check(cmd, SENSE_CDB_FIELD);
        return;
    }
    for (unsigned lun = 0; lun < 8 && cmd->cdb[2] != 1; lun++)
        if (lun == 0 || cmd->luns >> lun & 1)
            b[8 + 8 * n++ + 1] = (uint8_t)lun;
    set32(b, 8 * n);
    scsi_answer(cmd, b, 8 + 8 * n, allowed);
}
