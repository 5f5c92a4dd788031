/* Between the files of the LSI Logic adapter only: its registers, its commands in flight, and who does what.
 *
 *   lsilogic.c      registers, resets, interrupt pins, the class
 *   lsi_queue.c     doorbell handshake, request and reply queues
 *   lsi_messages.c  what each message does, but I/O and configuration
 *   lsi_config.c    configuration pages as tables; lsi_sas.c those of the SAS1068
 *   lsi_sgl.c       scatter-gather lists
 *   lsi_io.c        SCSI commands in flight, task management
 *   lsi_bus.c       disks that come and go
 */
#ifndef VMK_DEV_LSI_PRIVATE_H
#define VMK_DEV_LSI_PRIVATE_H

#include "core/board.h"
#include "dev/lsilogic.h"
#include "dev/scsi.h"
#include "io/pci_msi.h"

#define LSI_SLOTS 128        /* commands in flight: the credits of IOC_FACTS */
#define LSI_FRAME_BYTES 128  /* of a request */
#define LSI_QUEUE 256        /* entries of each reply queue, one is never used */
#define LSI_HANDSHAKE 64     /* dwords of a request through the doorbell */
#define LSI_REPLY_BYTES 80
#define LSI_SEGMENTS 1024    /* pieces of memory one command's data may lie in */
#define LSI_BYTES_IN_FLIGHT (64u << 20)

enum lsi_ioc_state { IOC_RESET = 0, IOC_READY = 1, IOC_OPERATIONAL = 2, IOC_FAULT = 4 };
enum lsi_handshake { HANDSHAKE_IDLE = 0, HANDSHAKE_REQUEST = 1, HANDSHAKE_REPLY = 2 };

enum { INT_REPLY = 1 << 3, INT_DOORBELL = 1 << 0 };

enum lsi_function {
    FN_SCSI_IO = 0x00, FN_TASK_MGMT = 0x01, FN_IOC_INIT = 0x02, FN_IOC_FACTS = 0x03, FN_CONFIG = 0x04,
    FN_PORT_FACTS = 0x05, FN_PORT_ENABLE = 0x06, FN_EVENT_NOTIFICATION = 0x07, FN_EVENT_ACK = 0x08,
    FN_IOC_RESET = 0x40, FN_IO_UNIT_RESET = 0x41, FN_HANDSHAKE = 0x42,
};

enum lsi_ioc_status {
    IOC_SUCCESS = 0x0000, IOC_INVALID_FUNCTION = 0x0001, IOC_BUSY = 0x0002, IOC_INVALID_SGL = 0x0003,
    IOC_INVALID_FIELD = 0x0007, IOC_INVALID_STATE = 0x0008,
    IOC_CONFIG_INVALID_ACTION = 0x0020, IOC_CONFIG_INVALID_TYPE = 0x0021, IOC_CONFIG_INVALID_PAGE = 0x0022,
    IOC_CONFIG_INVALID_DATA = 0x0023,
    IOC_SCSI_INVALID_BUS = 0x0041, IOC_SCSI_INVALID_TARGET = 0x0042, IOC_SCSI_NOT_THERE = 0x0043,
    IOC_SCSI_OVERRUN = 0x0044, IOC_SCSI_UNDERRUN = 0x0045, IOC_SCSI_TERMINATED = 0x0048,
};

/* Fault codes of our own, in the doorbell's low half. */
enum lsi_fault { FAULT_REPLY_QUEUE = 0x0006, FAULT_REQUEST = 0x8001, FAULT_STATE = 0x8002 };

/* A command in flight, as far as the guest can tell. */
struct lsi_slot {
    uint64_t due, sequence;
    uint32_t step;
    uint8_t used, reserved[3];
    uint8_t frame[LSI_FRAME_BYTES];
};

struct lsi_ring {
    uint32_t head, count;
    uint32_t entry[LSI_QUEUE];
};

/* All that the guest can see. Only fixed-width fields without padding; lsilogic.c has the table. */
struct lsi {
    uint32_t ioc_state, fault;
    uint32_t int_status, int_mask, diagnostic, key;
    uint32_t test_base, host_index, int_level; /* int_level: what lsi_drive() saw last */
    uint32_t handshake, wanted, have;         /* dwords of the request */
    uint32_t request[LSI_HANDSHAKE];
    uint32_t reply_halves, reply_next;
    uint32_t reply[LSI_REPLY_BYTES / 4];
    uint32_t who_init, host_high, sense_high, reply_bytes, max_devices, max_buses;
    uint32_t events_on, event_context;
    uint32_t port1_config, coalescing[3];     /* what drivers write into configuration pages */
    uint32_t requested[LSI_TARGETS], configuration[LSI_TARGETS];
    uint64_t sequence;
    struct lsi_ring free_frames, posted;
    struct scsi_state unit[LSI_TARGETS][LSI_LUNS];
    struct lsi_slot slot[LSI_SLOTS];
};

struct lsi_segment {
    uint64_t address;
    uint32_t length;
};

/* The host's side of a command in flight. */
struct lsi_task {
    struct dev *dev;
    struct scsi_cmd cmd;
    struct lsi_segment *segment;
    uint32_t segments;
    bool stopped; /* reset or aborted: its end makes no reply of its own */
};

struct lsi_model {
    struct pci_info pci;
    uint16_t product, version;
    uint8_t port_type, max_devices, own_id, protocol;
    bool sas;
    const char *chip, *board;
};

struct lsi_host {
    struct pci_func *pci;
    struct pci_info info;
    struct pci_reg msi[PCI_MSI_REGS];
    const struct lsi_model *model;
    struct scsi_unit unit[LSI_TARGETS][LSI_LUNS];
    struct lsi_task task[LSI_SLOTS];
    uint32_t bytes_in_flight;
    bool restoring;
    struct blk *disk[LSI_TARGETS * LSI_LUNS]; /* those that are there, without gaps */
    unsigned disks;
};

static inline struct lsi *lsi_of(struct dev *d) { return d->state; }
static inline struct lsi_host *lsi_host_of(struct dev *d) { return d->host; }

/* Little-endian fields of messages. */
static inline uint32_t get16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t get32(const uint8_t *p) { return get16(p) | get16(p + 2) << 16; }
static inline uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }
static inline void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8); }
static inline void put32(uint8_t *p, uint32_t v) { put16(p, v), put16(p + 2, v >> 16); }

/* lsilogic.c */
void lsi_drive(struct dev *d);
void lsi_fail(struct dev *d, enum lsi_fault code);
void lsi_message_unit_reset(struct dev *d);
void lsi_power_on(struct dev *d);

/* lsi_queue.c */
uint32_t lsi_doorbell_read(struct dev *d);
void lsi_doorbell_write(struct dev *d, uint32_t value);
void lsi_status_write(struct dev *d);
void lsi_request_post(struct dev *d, uint32_t value);
uint32_t lsi_reply_pop(struct dev *d);
void lsi_reply_free(struct dev *d, uint32_t value);
void lsi_post_context(struct dev *d, uint32_t context);
/* Posts an address reply of `bytes`, of which the host gets as much as its frames hold. */
void lsi_post_reply(struct dev *d, const uint8_t *reply, unsigned bytes);
/* Starts a reply in `reply` that repeats the request's function, flags and context; `bytes` long. */
void lsi_reply_begin(uint8_t reply[LSI_REPLY_BYTES], const uint8_t *request, unsigned bytes);

/* lsi_messages.c: a message of `bytes` (zero padded to LSI_FRAME_BYTES); length of the reply, 0 if it went
 * its own way. */
unsigned lsi_message(struct dev *d, const uint8_t *request, uint8_t reply[LSI_REPLY_BYTES]);
/* Tells the host of an event if it asked for events. */
void lsi_event(struct dev *d, uint32_t event, const uint8_t *data, unsigned bytes);

/* lsi_config.c */
unsigned lsi_config(struct dev *d, const uint8_t *request, uint8_t reply[LSI_REPLY_BYTES]);

/* lsi_sas.c: an extended page with its header, its bytes, 0 if there is none; and events. */
#define LSI_SAS_PAGE_BYTES 512
unsigned lsi_sas_page(struct dev *d, uint8_t type, uint8_t number, uint32_t address,
                      uint8_t page[LSI_SAS_PAGE_BYTES]);
void lsi_sas_tell(struct dev *d, unsigned target, bool added);

/* lsi_sgl.c: 0 or an enum lsi_ioc_status. The list of `wanted` bytes' memory, copied from the guest once. */
int lsi_sgl_parse(struct dev *d, const uint8_t *frame, uint32_t wanted, struct lsi_task *task);
int lsi_sgl_to_host(struct dev *d, const struct lsi_task *task, uint8_t *buffer, uint32_t bytes);
int lsi_sgl_to_guest(struct dev *d, const struct lsi_task *task, const uint8_t *buffer, uint32_t bytes);

/* lsi_io.c */
void lsi_scsi_io(struct dev *d, const uint8_t *frame);
unsigned lsi_task_management(struct dev *d, const uint8_t *request, uint8_t reply[LSI_REPLY_BYTES]);
void lsi_io_stop_all(struct dev *d);            /* a reset: nothing is answered */
void lsi_io_end_unit(struct dev *d, unsigned target, unsigned lun); /* a disk goes: each is answered */
void lsi_io_restore(struct dev *d);

/* lsi_bus.c */
bool lsi_target_present(struct dev *d, unsigned target);
uint8_t lsi_luns(struct dev *d, unsigned target);
void lsi_bus_reset(struct dev *d);
void lsi_bus_close(struct dev *d);
/* Calls act for every disk's queue. */
uint64_t lsi_bus_deadline(struct dev *d);
void lsi_bus_run_due(struct dev *d, uint64_t now);

#endif
