/* Between the files of the SCSI units only: how a command is carried out.
 *
 * An opcode's function runs once when the command starts and again each time its request to the disk has
 * ended, with `step` one higher; it checks the CDB each time and ends the command or hands in the next
 * request. */
#ifndef VMK_DEV_SCSI_PRIVATE_H
#define VMK_DEV_SCSI_PRIVATE_H

#include <stddef.h>

#include "dev/scsi.h"

enum scsi_op_flags {
    OP_SENDS = 1,   /* the initiator sends data */
    OP_ALWAYS = 2,  /* a pending unit attention does not stop it */
    OP_MEDIUM = 4,  /* needs a medium */
    OP_ABSENT = 8,  /* answered for a LUN that is not there, too */
};

struct scsi_op {
    void (*run)(struct scsi_cmd *cmd);
    uint8_t flags;
};

extern const struct scsi_op scsi_disk_ops[256], scsi_cd_ops[256];

static inline uint32_t be16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t be24(const uint8_t *p) { return (uint32_t)p[0] << 16 | be16(p + 1); }
static inline uint32_t be32(const uint8_t *p) { return be16(p) << 16 | be16(p + 2); }
static inline uint64_t be64(const uint8_t *p) { return (uint64_t)be32(p) << 32 | be32(p + 4); }
static inline void set16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static inline void set32(uint8_t *p, uint32_t v) { set16(p, v >> 16), set16(p + 2, v); }
static inline void set64(uint8_t *p, uint64_t v) { set32(p, (uint32_t)(v >> 32)), set32(p + 4, (uint32_t)v); }

/* The three ways a command ends; nothing of it may be touched afterwards. */
void scsi_good(struct scsi_cmd *cmd);
void scsi_check(struct scsi_cmd *cmd, uint32_t sense);
void scsi_end(struct scsi_cmd *cmd, enum scsi_status status);

/* Ends it well with `n` bytes of data, cut to what the CDB allows. Short answers are padded with zeroes up to
 * that: SeaBIOS takes any residue for an error. */
void scsi_answer(struct scsi_cmd *cmd, const uint8_t *bytes, uint32_t n, uint32_t allowed);

/* Hands a request to the unit's disk. */
void scsi_submit(struct scsi_cmd *cmd, enum blk_op op, uint64_t off, uint64_t len, uint8_t *buf, bool fua);

/* LBA and number of blocks from the CDB of any group; checked against the capacity, false: the command has
 * ended. */
bool scsi_extent(struct scsi_cmd *cmd, uint64_t *lba, uint32_t *blocks);

/* Shared by disks and CD drives. */
void scsi_test_unit_ready(struct scsi_cmd *cmd);
void scsi_request_sense(struct scsi_cmd *cmd);
void scsi_inquiry(struct scsi_cmd *cmd);          /* scsi_inquiry.c */
void scsi_report_luns(struct scsi_cmd *cmd);
void scsi_mode_sense(struct scsi_cmd *cmd);       /* scsi_mode.c */
void scsi_mode_select(struct scsi_cmd *cmd);
void scsi_reserve_release(struct scsi_cmd *cmd);  /* scsi_reserve.c */
void scsi_reserve_in(struct scsi_cmd *cmd);
void scsi_reserve_out(struct scsi_cmd *cmd);
void scsi_read_capacity(struct scsi_cmd *cmd);    /* scsi_disk.c */
void scsi_read(struct scsi_cmd *cmd);

#endif
