/* The firmware configuration device: numbered items, by ports 0x510/0x511 or DMA through 0x514/0x518.
 *
 * Follows QEMU's docs/specs/fw_cfg (x86 ports). Items are added before the VM starts; keys nobody added
 * are empty, and an item reads as zeros behind its end. A DMA request moves at most DMA_STEP bytes at a
 * time and goes on at its deadline, so no length stalls the vCPU; the guest polls the control word, as the
 * interface asks for anyway. Leaves out: writing items (refused with the error bit). */
#include "dev/fw_cfg.h"

#include <stdlib.h>
#include <string.h>

#include "core/board.h"

#define KEY_SIGNATURE 0
#define DMA_STEP (1u << 20)
#define DMA_STEP_NS 1000

enum { SELECT = 0, DATA = 1, REGION_PORTS = 0, REGION_DMA = 1 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

/* Big-endian in guest memory. */
struct dma_request {
    uint32_t control, length;
    uint64_t address;
};

struct fw_cfg {
    uint64_t dma_request; /* guest address of the request; its high half is written first */
    uint64_t dma_target;  /* the transfer under way */
    uint64_t dma_due;     /* VM ns of its next step */
    uint32_t dma_left;    /* bytes; 0 = none under way */
    uint32_t offset;      /* next byte of the selected item */
    uint16_t key;
    uint16_t reserved[3];
};

struct fw_cfg_item {
    uint16_t key;
    size_t len;
    uint8_t *bytes;
};

struct fw_cfg_items {
    unsigned count;
    struct fw_cfg_item item[FW_CFG_ITEMS];
};

static struct fw_cfg_item *find(struct fw_cfg_items *items, uint16_t key)
{
    for (unsigned i = 0; i < items->count; i++)
        if (items->item[i].key == key)
            return &items->item[i];
    return NULL;
}

int fw_cfg_add(struct dev *d, uint16_t key, const void *bytes, size_t len)
{
    struct fw_cfg_items *items = d->host;
    struct fw_cfg_item *item = find(items, key);
    if (len > FW_CFG_ITEM_BYTES || (!item && items->count == FW_CFG_ITEMS))
        return board_fail(d->board, VMK_EINVAL, "fw_cfg item 0x%x: %zu bytes, or more than %d items", key,
                          len, FW_CFG_ITEMS);
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        return board_fail(d->board, VMK_ENOMEM, "no memory for fw_cfg item 0x%x", key);
    if (len)
        memcpy(copy, bytes, len);
    if (!item)
        item = &items->item[items->count++];
    else
        free(item->bytes);
    *item = (struct fw_cfg_item){key, len, copy};
    return VMK_OK;
}

/* The next `n` bytes of the selected item, zeros behind its end. */
static void take(struct dev *d, uint8_t *out, size_t n)
{
    struct fw_cfg *f = d->state;
    const struct fw_cfg_item *item = find(d->host, f->key);
    size_t left = item && f->offset < item->len ? item->len - f->offset : 0;
    size_t copied = left < n ? left : n;
    if (copied)
        memcpy(out, item->bytes + f->offset, copied);
    memset(out + copied, 0, n - copied);
    f->offset = n < UINT32_MAX - f->offset ? f->offset + (uint32_t)n : UINT32_MAX;
}

static void select_item(struct fw_cfg *f, uint16_t key)
{
    f->key = key;
    f->offset = 0;
}

/* The control word is how the guest learns the end. If even that is not memory, nobody can be told. */
static void finish(struct dev *d, uint32_t control)
{
    struct fw_cfg *f = d->state;
    uint32_t big_endian = __builtin_bswap32(control);
    f->dma_left = 0;
    (void)ram_write(d->board, f->dma_request, &big_endian, sizeof(big_endian));
}

static void dma_step(struct dev *d)
{
    static const uint32_t page = PAGE_SIZE;
    struct fw_cfg *f = d->state;
    uint8_t buf[PAGE_SIZE];
    for (uint32_t done = 0; f->dma_left && done < DMA_STEP;) {
        uint32_t n = f->dma_left < page ? f->dma_left : page;
        take(d, buf, n);
        if (ram_write(d->board, f->dma_target, buf, n) < 0) {
            finish(d, DMA_ERROR);
            return;
        }
        f->dma_target += n;
        f->dma_left -= n;
        done += n;
    }
    if (f->dma_left)
        f->dma_due = board_now(d->board) + DMA_STEP_NS;
    else
        finish(d, 0);
}

static void skip(struct fw_cfg *f, uint32_t n)
{
    f->offset = n < UINT32_MAX - f->offset ? f->offset + n : UINT32_MAX;
}

/* The request is copied once and then used: the guest may change it meanwhile. */
static void dma_start(struct dev *d)
{
    struct fw_cfg *f = d->state;
    struct dma_request request;
    if (f->dma_left || ram_read(d->board, f->dma_request, &request, sizeof(request)) < 0)
        return;
    uint32_t control = __builtin_bswap32(request.control), length = __builtin_bswap32(request.length);
    if (control & DMA_SELECT)
        select_item(f, (uint16_t)(control >> 16));
    if (control & DMA_READ) {
        f->dma_target = __builtin_bswap64(request.address);
        f->dma_left = length;
        dma_step(d);
        return;
    }
    if (control & DMA_SKIP)
        skip(f, length);
    finish(d, control & DMA_WRITE ? DMA_ERROR : 0);
}

static const uint8_t dma_signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};

static uint64_t fw_cfg_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    uint64_t value = 0;
    uint8_t byte = 0;
    if (region == REGION_DMA) {
        memcpy(&value, dma_signature + off, size);
    } else if (off == DATA && size == 1) {
        take(d, &byte, 1);
        value = byte;
    }
    return value;
}

/* The address is big-endian in both registers; writing the low half starts. */
static void dma_write(struct dev *d, uint64_t off, unsigned size, uint64_t value)
{
    struct fw_cfg *f = d->state;
    if (size != 4 || off & 3 || f->dma_left)
        return;
    uint64_t half = __builtin_bswap32((uint32_t)value);
    if (off == 0) {
        f->dma_request = half << 32;
        return;
    }
    f->dma_request = (f->dma_request & ~0xffffffffull) | half;
    dma_start(d);
    if (!f->dma_left)
        f->dma_request = 0;
}

static void fw_cfg_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    if (region == REGION_DMA)
        dma_write(d, off, size, value);
    else if (off == SELECT && size == 2)
        select_item(d->state, (uint16_t)value);
}

static uint64_t deadline(struct dev *d)
{
    const struct fw_cfg *f = d->state;
    return f->dma_left ? f->dma_due : DEV_NEVER;
}

static void tick(struct dev *d, uint64_t now)
{
    struct fw_cfg *f = d->state;
    if (!f->dma_left || now < f->dma_due)
        return;
    dma_step(d);
    if (!f->dma_left)
        f->dma_request = 0;
}

static void reset(struct dev *d)
{
    struct fw_cfg *f = d->state;
    *f = (struct fw_cfg){.key = KEY_SIGNATURE};
}

static int init(struct dev *d)
{
    d->host = calloc(1, sizeof(struct fw_cfg_items));
    if (!d->host)
        return board_fail(d->board, VMK_ENOMEM, "no memory for fw_cfg");
    int rc = bus_claim_ports(d, REGION_PORTS, 0x510, 2);
    return rc < 0 ? rc : bus_claim_ports(d, REGION_DMA, 0x514, 8);
}

static void destroy(struct dev *d)
{
    struct fw_cfg_items *items = d->host;
    for (unsigned i = 0; items && i < items->count; i++)
        free(items->item[i].bytes);
    free(items);
}

static const struct state_field fields[] = {
    FIELD(struct fw_cfg, dma_request, uint64_t),
    FIELD(struct fw_cfg, dma_target, uint64_t),
    FIELD(struct fw_cfg, dma_due, uint64_t),
    FIELD(struct fw_cfg, dma_left, uint32_t),
    FIELD(struct fw_cfg, offset, uint32_t),
    FIELD(struct fw_cfg, key, uint16_t),
    FIELD(struct fw_cfg, reserved, uint16_t),
};

const struct dev_class fw_cfg_class = {
    .name = "fw_cfg",
    .version = 1,
    .size = sizeof(struct fw_cfg),
    .fields = fields,
    .nfields = sizeof(fields) / sizeof(fields[0]),
    .init = init,
    .reset = reset,
    .read = fw_cfg_read,
    .write = fw_cfg_write,
    .deadline = deadline,
    .tick = tick,
    .destroy = destroy,
};
