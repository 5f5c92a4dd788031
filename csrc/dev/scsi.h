/* SCSI logical units as a host adapter sees them: a command goes in, data, status and sense come out.
 *
 * A unit's guest-visible state is a fixed-width struct inside its adapter's saved state; what the host
 * knows of it (the disk's queue, texts) is beside it in struct scsi_unit. A command owns one data buffer
 * for both directions: the adapter fills it with what the initiator sends before scsi_start(), and hands
 * on data_in bytes of it after done(). Commands that touch the medium go through the disk's queue
 * (blk/blk.h), one request at a time; `step` counts those that have ended, so that a command in flight can
 * be taken up again after a restore. */
#ifndef VMK_DEV_SCSI_H
#define VMK_DEV_SCSI_H

#include <stdbool.h>
#include <stdint.h>

#include "blk/blk.h"

#define SCSI_CDB_BYTES 16
#define SCSI_SENSE_BYTES 18
#define SCSI_ATTENTIONS 4
#define SCSI_ECHO_BYTES 128
#define SCSI_MAX_TRANSFER (8u << 20) /* of one command: what VPD page B0 says */
#define SCSI_SERIAL_BYTES 36
#define SCSI_PRODUCT_BYTES 16

enum scsi_kind { SCSI_ABSENT = 0, SCSI_DISK = 1, SCSI_CDROM = 2 };

enum scsi_status {
    SCSI_GOOD = 0x00, SCSI_CHECK_CONDITION = 0x02, SCSI_BUSY = 0x08, SCSI_RESERVATION_CONFLICT = 0x18,
    SCSI_TASK_SET_FULL = 0x28, SCSI_TASK_ABORTED = 0x40,
};

/* Sense as one number: key << 16 | ASC << 8 | ASCQ. */
enum scsi_sense {
    SENSE_NONE = 0x000000,
    SENSE_NO_MEDIUM = 0x023a00, SENSE_TRAY_OPEN = 0x023a02,
    SENSE_WRITE_ERROR = 0x030c00, SENSE_READ_ERROR = 0x031100,
    SENSE_TARGET_FAILURE = 0x044400,
    SENSE_LIST_LENGTH = 0x051a00, SENSE_OPCODE = 0x052000, SENSE_LBA_RANGE = 0x052100,
    SENSE_CDB_FIELD = 0x052400, SENSE_LUN = 0x052500, SENSE_PARAMETER = 0x052600,
    SENSE_RELEASE = 0x052604, SENSE_INCOMPATIBLE_MEDIUM = 0x053000, SENSE_SAVING = 0x053900,
    SENSE_REMOVAL_PREVENTED = 0x055302, SENSE_MODE_FOR_TRACK = 0x056400,
    SENSE_MEDIUM_CHANGED = 0x062800, SENSE_RESET = 0x062900, SENSE_MODE_CHANGED = 0x062a01,
    SENSE_RESERVATIONS_PREEMPTED = 0x062a03, SENSE_LUNS_CHANGED = 0x063f0e,
    SENSE_WRITE_PROTECTED = 0x072700, SENSE_SPACE_FULL = 0x072707,
    SENSE_ABORTED = 0x0b0000, SENSE_MISCOMPARE = 0x0e1d00,
};

/* What a guest can find out about a unit. No padding: its bytes are saved as they are. */
struct scsi_state {
    uint64_t pr_key;                     /* persistent reservations: of the one initiator there is */
    uint32_t pr_generation;
    uint32_t sense;                      /* for REQUEST SENSE */
    uint32_t attention[SCSI_ATTENTIONS]; /* pending unit attentions as sense, the first is due */
    uint8_t attentions;
    uint8_t pr_registered, pr_type;      /* pr_type 0: no reservation */
    uint8_t write_cache;
    uint8_t locked, tray_open, media_event, reserved;
    uint8_t echo[SCSI_ECHO_BYTES]; /* what WRITE BUFFER left for READ BUFFER */
};

struct scsi_unit {
    struct scsi_state *state;
    struct blk *blk;    /* NULL: a drive without a medium, or nobody */
    enum scsi_kind kind;
    uint32_t block;     /* bytes */
    uint64_t blocks;
    bool readonly;
    char serial[SCSI_SERIAL_BYTES + 1], product[SCSI_PRODUCT_BYTES + 1];
    bool parallel;      /* on parallel SCSI: INQUIRY says what the bus can do */
    uint16_t address;   /* adapter, target and LUN: makes the unit's name unique within the VM */
    /* COMPARE AND WRITE between its read and its write: others keep off. */
    bool comparing;
    uint64_t compare_off, compare_len;
};

struct scsi_cmd {
    struct scsi_unit *unit;
    uint8_t cdb[SCSI_CDB_BYTES];
    uint8_t *data;      /* `size` bytes */
    uint32_t size;      /* what the initiator expects or sends */
    uint32_t data_in;   /* bytes of data[] for the initiator */
    uint8_t status;     /* enum scsi_status */
    bool overrun;       /* the CDB asked for more than `size` */
    uint32_t sense;
    uint8_t luns;       /* bit per LUN of this target that exists */
    void (*done)(struct scsi_cmd *cmd);     /* once, before or after scsi_start() returns */
    void (*progress)(struct scsi_cmd *cmd); /* a request was handed to the disk: step and blk_due(&req) */
    void *owner;
    /* In flight. */
    uint32_t step;
    uint64_t due;       /* of the request a restored command waits for; 0 = new */
    struct blk_req req;
    uint8_t *scratch;   /* what was read to compare with, or a pattern; freed at the end */
    bool waiting;       /* a request is with the disk */
    bool resumed;       /* taken up again, its request not yet handed in */
    bool compares;      /* it has set unit->comparing */
};

/* Does the command send data to the unit? (An adapter that cannot tell by itself asks.) */
bool scsi_sends_data(const uint8_t *cdb);

/* Executes a command; `luns`, data and size set. */
void scsi_start(struct scsi_cmd *cmd);
/* Takes up a command that had `step` requests behind it when the VM was saved and waited for one due at
 * `due`. */
void scsi_resume(struct scsi_cmd *cmd, uint32_t step, uint64_t due);
/* Fixed-format sense data of a command that ended with CHECK CONDITION. */
void scsi_sense_bytes(uint32_t sense, uint8_t out[SCSI_SENSE_BYTES]);

/* Power-on or reset of a unit: defaults, and a unit attention to tell of it. */
void scsi_reset(struct scsi_unit *u);
void scsi_attention(struct scsi_unit *u, uint32_t sense);
/* Another medium is in the CD drive, or none. */
void scsi_medium_changed(struct scsi_unit *u);

#endif
