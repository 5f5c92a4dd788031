/* An LSI adapter with disks in memory on the bench: brought up as a driver does it, commands by one call. */
#ifndef VMK_TESTS_LSI_RIG_H
#define VMK_TESTS_LSI_RIG_H

#include "rig.h"

#include "blk/blk.h"
#include "dev/lsilogic.h"

#define LSI_MEMORY (16u << 20)
#define LSI_BASE 0xe0000000ull
#define LSI_PORTS 0xc000
#define REPLIES 0x10000u  /* reply frames, 128 bytes each */
#define REPLY_COUNT 64u
#define FRAME 0x20000u    /* the one request frame */
#define SENSE 0x30000u
#define CHAIN 0x40000u
#define DATA 0x100000u
#define CONTEXT 0x1234u
#define EMPTY 0xffffffffu

enum { NO_DATA = 0, TO_DISK = 1, FROM_DISK = 2 };

static struct dev *adapter;

/* ---- registers and memory ---- */

static inline uint32_t r32(uint32_t off) { return (uint32_t)bus_mmio_read(rig, LSI_BASE + off, 4); }
static inline void w32(uint32_t off, uint32_t value) { bus_mmio_write(rig, LSI_BASE + off, 4, value); }

static inline void config_write(unsigned slot, unsigned offset, uint32_t value)
{
    bus_port_write(rig, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfc));
    bus_port_write(rig, 0xcfc, 4, value);
}

static inline uint32_t config_read(unsigned slot, unsigned offset)
{
    bus_port_write(rig, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfc));
    return bus_port_read(rig, 0xcfc, 4);
}

static inline uint8_t mem8(uint64_t gpa)
{
    uint8_t v = 0;
    ram_read(rig, gpa, &v, 1);
    return v;
}

static inline uint32_t mem16(uint64_t gpa) { return mem8(gpa) | (uint32_t)mem8(gpa + 1) << 8; }
static inline uint32_t mem32(uint64_t gpa) { return mem16(gpa) | mem16(gpa + 2) << 16; }

static inline void set8(uint64_t gpa, uint8_t v) { ram_write(rig, gpa, &v, 1); }
static inline void set16le(uint64_t gpa, uint32_t v)
{
    set8(gpa, (uint8_t)v), set8(gpa + 1, (uint8_t)(v >> 8));
}

static inline void set32le(uint64_t gpa, uint32_t v) { set16le(gpa, v), set16le(gpa + 2, v >> 16); }

static inline void fill(uint64_t gpa, uint8_t v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        set8(gpa + i, v);
}

/* ---- bringing up ---- */

static inline void lsi_pci_on(unsigned n)
{
    config_write(0x10 + n, 0x10, LSI_PORTS + 0x100 * n);
    config_write(0x10 + n, 0x14, (uint32_t)LSI_BASE + 0x100000 * n);
    config_write(0x10 + n, 0x04, 7);
}

/* A handshake as Linux does it; the reply's halves in `reply`, their number. */
static inline unsigned handshake(const uint32_t *dwords, unsigned n, uint16_t *reply, unsigned room)
{
    w32(0x30, 0);
    w32(0x00, 0x42000000 | n << 16);
    if (!(r32(0x30) & 1) || !(r32(0x00) & 1u << 27))
        return 0;
    w32(0x30, 0);
    for (unsigned i = 0; i < n; i++)
        w32(0x00, dwords[i]);
    unsigned halves = 0, wanted = 2;
    for (; halves < wanted && halves < room; halves++) {
        if (!(r32(0x30) & 1))
            return 0;
        reply[halves] = (uint16_t)r32(0x00);
        w32(0x30, 0);
        if (halves == 1)
            wanted = 2u * (reply[1] & 0xff);
    }
    if (!(r32(0x30) & 1))
        return 0;
    w32(0x30, 0);
    return r32(0x00) & 1u << 27 ? 0 : halves;
}

static inline uint16_t ioc_init(uint16_t reply_bytes)
{
    const uint32_t request[6] = {0x02000004, 0x00010f00, 0x77, reply_bytes, 0, 0};
    uint16_t reply[10] = {0};
    return handshake(request, 6, reply, 10) == 10 ? reply[7] : 0xffff;
}

static inline void post_reply_frames(void)
{
    for (unsigned i = 0; i < REPLY_COUNT; i++)
        w32(0x44, REPLIES + 128 * i);
}

static inline void lsi_begin_as(uint32_t model)
{
    const struct vmk_config cfg = {
        .memory = LSI_MEMORY, .rtc_epoch = RIG_EPOCH, .cpus = 1, .time_mode = VMK_TIME_MANUAL,
        .scsi_adapters = 1, .scsi_model = {model},
    };
    rig = rig_create_as(&cfg);
    adapter = board_find(rig, "lsilogic", 0);
    lsi_pci_on(0);
}

static inline void lsi_up(void)
{
    w32(0x00, 0x40000000);
    post_reply_frames();
    ioc_init(128);
    w32(0x34, 1);
}

static inline int attach(unsigned target, unsigned lun, uint64_t size, uint32_t kind, bool readonly)
{
    struct blk_backend be;
    const struct vmk_disk_config config = {.kind = kind, .serial = "S-1"};
    if (blk_ramdisk(&be, NULL, size, readonly))
        return VMK_ENOMEM;
    int rc = lsilogic_attach(adapter, target, lun, &be, &config);
    if (rc)
        be.ops->close(be.ctx);
    return rc;
}

#define DISK_BLOCKS 8192u

static inline void lsi_begin(void)
{
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    attach(0, 0, DISK_BLOCKS * 512, VMK_DISK_DISK, false);
    lsi_up();
}

static inline void lsi_end(void)
{
    board_destroy(rig);
    rig = NULL;
}

/* ---- commands ---- */

struct result {
    bool turbo;
    uint32_t context, frame;
    unsigned ioc, scsi, state;
    uint32_t moved, sense; /* sense: key << 16 | ASC << 8 | ASCQ, of valid autosense */
};

/* The next reply, waiting a second of VM time; false: none came. */
static inline bool next_reply(struct result *r)
{
    uint32_t value = EMPTY;
    memset(r, 0, sizeof(*r));
    for (unsigned i = 0; i < 1000 && value == EMPTY; i++) {
        value = r32(0x44);
        if (value == EMPTY)
            rig_advance(MS);
    }
    if (value == EMPTY)
        return false;
    r->turbo = !(value >> 31);
    r->context = value;
    if (r->turbo)
        return true;
    r->frame = value << 1;
    r->context = mem32(r->frame + 8);
    r->ioc = mem16(r->frame + 0x0e);
    r->scsi = mem8(r->frame + 0x0c);
    r->state = mem8(r->frame + 0x0d);
    r->moved = mem32(r->frame + 0x14);
    if (r->state & 1)
        r->sense = (uint32_t)mem8(SENSE + 2) << 16 | (uint32_t)mem8(SENSE + 12) << 8 | mem8(SENSE + 13);
    w32(0x44, r->frame);
    return true;
}

/* The frame at FRAME with one simple element for its data; the caller may change it before sending it. */
static inline void make_io(unsigned target, unsigned lun, const uint8_t *cdb, unsigned cdb_len, unsigned way,
                           uint32_t data_len)
{
    fill(FRAME, 0, 128);
    set8(FRAME + 0, (uint8_t)target);
    set8(FRAME + 4, (uint8_t)cdb_len);
    set8(FRAME + 5, 18);
    set32le(FRAME + 8, CONTEXT);
    set8(FRAME + 0x0d, (uint8_t)lun);
    set8(FRAME + 0x17, (uint8_t)way);
    ram_write(rig, FRAME + 0x18, cdb, cdb_len);
    set32le(FRAME + 0x28, data_len);
    set32le(FRAME + 0x2c, SENSE);
    set32le(FRAME + 0x30, 0xd1000000 | (way == TO_DISK) << 26 | (data_len & 0xffffff));
    set32le(FRAME + 0x34, DATA);
}

static inline struct result send_frame(void)
{
    struct result r;
    w32(0x40, FRAME);
    if (!next_reply(&r))
        r.context = EMPTY;
    return r;
}

static inline struct result scsi(unsigned target, unsigned lun, const uint8_t *cdb, unsigned cdb_len,
                                 unsigned way, uint32_t data_len)
{
    make_io(target, lun, cdb, cdb_len, way, data_len);
    return send_frame();
}

/* CDB(0x28, 0, …) sent to disk 0:0. */
#define CDB(...) ((const uint8_t[16]){__VA_ARGS__})
#define SEND(way, len, ...) scsi(0, 0, CDB(__VA_ARGS__), 16, way, len)

static inline void clear_attention(void)
{
    for (unsigned i = 0; i < 4; i++)
        SEND(NO_DATA, 0, 0x00);
}

/* Blocks of the disk as they are, for checks. */
static inline uint8_t disk_byte(uint64_t at)
{
    return ((const uint8_t *)blk_info(lsilogic_disk(adapter, 0, 0))->ctx)[at];
}

#endif
