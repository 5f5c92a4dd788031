/* The board: builds the chips, follows their deadlines, carries guest output and requests.
 *
 * Owns the table of devices and the one place where a chip's slot is called (so that its deadline is followed
 * after every access). Leaves out: CPUs (core/vm.c), address maps (io/bus.c), interrupt routing (io/irq.c),
 * memory (mem/ram.c). */
#include "core/board.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/state.h"
#include "dev/devices.h"

#define OUTPUT_LIMIT (16u << 20) /* bytes kept per channel while nobody reads */

static void no_cpu(void *ctx, unsigned cpu) { (void)ctx, (void)cpu; }
static void no_sipi(void *ctx, unsigned cpu, uint8_t vector) { (void)ctx, (void)cpu, (void)vector; }
static void no_event(void *ctx) { (void)ctx; }
static void no_page(void *ctx, uint64_t page) { (void)ctx, (void)page; }

static const struct board_cpu_ops no_cpus = {
    .kick = no_cpu, .nmi = no_cpu, .init = no_cpu, .sipi = no_sipi, .deadline = no_event,
    .request = no_event, .wake = no_event, .memory_changed = no_event, .page_written = no_page,
    .page_changed = no_page,
};

int board_fail(struct board *b, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(b->error, sizeof(b->error), fmt, ap);
    va_end(ap);
    return code;
}

static void board_rearm(struct board *b)
{
    uint64_t first = inbox_deadline(&b->inbox);
    for (unsigned i = 0; i < b->ndevs; i++)
        if (b->devs[i].deadline < first)
            first = b->devs[i].deadline;
    if (first != b->deadline) {
        b->deadline = first;
        b->cpu->deadline(b->cpu_ctx);
    }
}

void dev_rearm(struct dev *d)
{
    if (!d->cls->deadline)
        return;
    uint64_t next = d->cls->deadline(d);
    if (next != d->deadline) {
        d->deadline = next;
        board_rearm(d->board);
    }
}

struct dev *board_add(struct board *b, const struct dev_class *cls)
{
    const char *bad = "";
    if (b->ndevs == BOARD_MAX_DEVS)
        return board_fail(b, VMK_EINVAL, "more than %d devices", BOARD_MAX_DEVS), NULL;
    if (state_check(cls, &bad))
        return board_fail(b, VMK_EBUG, "device %s: state table does not match its struct at field %s",
                          cls->name, bad),
               NULL;
    struct dev *d = &b->devs[b->ndevs];
    *d = (struct dev){.cls = cls, .board = b, .index = b->ndevs, .deadline = DEV_NEVER};
    for (unsigned i = 0; i < b->ndevs; i++)
        d->instance += b->devs[i].cls == cls;
    d->state = calloc(1, cls->size);
    if (!d->state)
        return board_fail(b, VMK_ENOMEM, "no memory for device %s", cls->name), NULL;
    b->ndevs++;
    if (cls->init && cls->init(d) < 0)
        return NULL;
    return d;
}

struct board *board_create(const struct vmk_config *cfg, char *err, size_t errlen)
{
    struct board *b = calloc(1, sizeof(*b));
    if (!b) {
        snprintf(err, errlen, "no memory for the board");
        return NULL;
    }
    b->cfg = *cfg;
    b->cpu = &no_cpus;
    b->deadline = UINT64_MAX;
    b->trace.mask = cfg->trace_mask | 1u << VMK_TRACE_TRAP | 1u << VMK_TRACE_EXCEPTION |
                    1u << VMK_TRACE_INTERRUPT | 1u << VMK_TRACE_RESET;
    clock_init(&b->clock, (enum clock_mode)cfg->time_mode);
    inbox_init(&b->inbox);
    if (ram_init(b) < 0 || devices_build(b) < 0) {
        snprintf(err, errlen, "%s", b->error);
        board_destroy(b);
        return NULL;
    }
    board_reset(b);
    return b;
}

void board_shut(struct board *b)
{
    for (unsigned i = 0; i < b->ndevs && !b->shut; i++)
        if (b->devs[i].cls->destroy)
            b->devs[i].cls->destroy(&b->devs[i]);
    b->shut = true;
}

void board_destroy(struct board *b)
{
    if (!b)
        return;
    board_shut(b);
    for (unsigned i = 0; i < b->ndevs; i++)
        free(b->devs[i].state);
    for (unsigned ch = 0; ch < VMK_CHANNELS; ch++)
        free(b->out[ch].bytes);
    inbox_destroy(&b->inbox);
    ram_free(b);
    free(b);
}

void board_reset(struct board *b)
{
    b->request = VMK_REQ_NONE;
    b->request_value = 0;
    ram_reset(b);
    for (unsigned i = 0; i < b->ndevs; i++)
        if (b->devs[i].cls->reset)
            b->devs[i].cls->reset(&b->devs[i]);
    for (unsigned i = 0; i < b->ndevs; i++)
        dev_rearm(&b->devs[i]);
    board_trace(b, VMK_TRACE_RESET, 0, 0, 0, 0);
}

static void deliver(struct board *b, const struct inbox_msg *msg)
{
    if (msg->kind == INBOX_NMI) {
        for (unsigned cpu = 0; cpu < b->cfg.cpus; cpu++)
            if (msg->arg >> cpu & 1)
                b->cpu->nmi(b->cpu_ctx, cpu);
        return;
    }
    if (msg->dev < 0 || (unsigned)msg->dev >= b->ndevs)
        return;
    struct dev *d = &b->devs[msg->dev];
    if (d->cls->event) {
        d->cls->event(d, msg);
        dev_rearm(d);
    }
}

void board_run_due(struct board *b)
{
    struct inbox_msg msg;
    uint64_t now = board_now(b);
    atomic_store(&b->inbox.news, false);
    for (unsigned n = 0; n < INBOX_SLOTS && inbox_take(&b->inbox, now, &msg); n++)
        deliver(b, &msg);
    for (unsigned i = 0; i < b->ndevs; i++) {
        struct dev *d = &b->devs[i];
        if (d->deadline <= now) {
            d->cls->tick(d, now);
            dev_rearm(d);
        }
    }
    board_rearm(b);
}

void board_output(struct board *b, enum vmk_channel ch, const void *bytes, size_t n)
{
    struct output *o = &b->out[ch];
    o->total += n;
    o->last_time = board_now(b);
    if (memchr(bytes, '\n', n)) {
        o->line = true;
        b->cpu->request(b->cpu_ctx); /* whoever watches the channel sees it at the next block */
    }
    if (o->len + n > o->cap && o->cap < OUTPUT_LIMIT) {
        size_t cap = o->cap ? o->cap * 2 : 4096;
        while (cap < o->len + n)
            cap *= 2;
        uint8_t *grown = realloc(o->bytes, cap);
        if (grown) {
            o->bytes = grown;
            o->cap = cap;
        }
    }
    if (o->len + n > o->cap) {
        o->lost += n;
        return;
    }
    memcpy(o->bytes + o->len, bytes, n);
    o->len += n;
}

void board_request(struct board *b, enum vmk_request what, uint32_t value)
{
    if (b->request != VMK_REQ_NONE)
        return;
    b->request = what;
    b->request_value = value;
    b->cpu->request(b->cpu_ctx);
}

struct dev *board_find(struct board *b, const char *name, unsigned instance)
{
    for (unsigned i = 0; i < b->ndevs; i++)
        if (b->devs[i].instance == instance && !strcmp(b->devs[i].cls->name, name))
            return &b->devs[i];
    return NULL;
}

size_t board_state_size(const struct board *b)
{
    size_t total = sizeof(uint64_t) + sizeof(b->ram.pam) + 8;
    for (unsigned i = 0; i < b->ndevs; i++)
        total += state_size(b->devs[i].cls);
    return total;
}

void board_state_save(struct board *b, uint8_t *out)
{
    uint64_t now = board_now(b), a20 = b->ram.a20;
    memcpy(out, &now, 8);
    memcpy(out + 8, &a20, 8);
    memcpy(out + 16, b->ram.pam, sizeof(b->ram.pam));
    out += 16 + sizeof(b->ram.pam);
    for (unsigned i = 0; i < b->ndevs; i++) {
        state_save(&b->devs[i], out);
        out += state_size(b->devs[i].cls);
    }
}

/* The clock is set by whoever restores the CPUs: its value belongs to their instruction counts. Here only a
 * manual clock follows. */
int board_state_load(struct board *b, const uint8_t *in, size_t len)
{
    uint64_t now, a20;
    if (len != board_state_size(b))
        return board_fail(b, VMK_ESTATE, "saved state has %zu bytes, this VM needs %zu", len,
                          board_state_size(b));
    memcpy(&now, in, 8);
    memcpy(&a20, in + 8, 8);
    memcpy(b->ram.pam, in + 16, sizeof(b->ram.pam));
    b->ram.a20 = a20 != 0;
    if (b->clock.mode == CLOCK_MANUAL) {
        b->clock.base = b->clock.floor = now;
    }
    in += 16 + sizeof(b->ram.pam);
    for (unsigned i = 0; i < b->ndevs; i++) {
        struct dev *d = &b->devs[i];
        if (state_load(d, in, state_size(d->cls)))
            return board_fail(b, VMK_ESTATE, "saved state of device %u is not a %s version %u", i,
                              d->cls->name, d->cls->version);
        in += state_size(d->cls);
    }
    /* Who asserts a shared line is not state: every chip says so again. What is left from before would stick.
     */
    memset(b->irq.source, 0, sizeof(b->irq.source));
    for (unsigned i = 0; i < b->ndevs; i++) {
        struct dev *d = &b->devs[i];
        if (d->cls->restored)
            d->cls->restored(d);
        dev_rearm(d);
    }
    b->cpu->memory_changed(b->cpu_ctx);
    return VMK_OK;
}
