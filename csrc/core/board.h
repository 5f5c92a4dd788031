/* The board: everything of a VM that is not a CPU. RAM, buses, chips, interrupt routing, the clock, the
 * inbox, the trace.
 *
 * A board works without any engine: tests drive its chips through the buses with a manual clock. The CPUs
 * reach it through io/bus.h, io/irq.h and mem/; it reaches them only through `struct board_cpu_ops`, so
 * nothing below csrc/cpu knows an engine. */
#ifndef VMK_CORE_BOARD_H
#define VMK_CORE_BOARD_H

#include "core/clock.h"
#include "core/dev.h"
#include "core/inbox.h"
#include "core/trace.h"
#include "io/bus.h"
#include "io/irq.h"
#include "mem/ram.h"
#include "vmk_api.h"

#define BOARD_MAX_DEVS 128
#define BOARD_MAX_CPUS 64
#define BOARD_MAX_NICS 8

/* What the board asks of the CPUs. Every slot may be called from a chip's slot on the vCPU thread; a board
 * without CPUs has empty functions here. */
struct board_cpu_ops {
    void (*kick)(void *ctx, unsigned cpu); /* an interrupt became pending or its window changed: look again */
    void (*nmi)(void *ctx, unsigned cpu);
    void (*init)(void *ctx, unsigned cpu); /* INIT IPI */
    void (*sipi)(void *ctx, unsigned cpu, uint8_t vector);
    void (*deadline)(void *ctx); /* board->deadline changed */
    void (*request)(void *ctx);  /* board->request was set, or a line came out: look at the next block */
    /* PAM, A20 or a window moved: forget cached translations of addresses. */
    void (*memory_changed)(void *ctx);
    /* From any thread: a message waits in the inbox. */
    void (*wake)(void *ctx);
    /* A host-side write is about to change RAM page number `page`. */
    void (*page_written)(void *ctx, uint64_t page);
    /* It has been changed. */
    void (*page_changed)(void *ctx, uint64_t page);
};

struct board {
    struct vmk_config cfg;
    struct clock clock;
    struct inbox inbox;
    struct trace trace;
    struct ram ram;
    struct bus bus;
    struct irq irq;
    struct dev devs[BOARD_MAX_DEVS];
    unsigned ndevs;
    uint64_t deadline;             /* earliest of all chips' and the inbox's */
    uint32_t request;              /* enum vmk_request: reset, power-off, debug exit; 0 = none */
    uint32_t request_value;
    struct output { /* bytes the guest sent out, until Python takes them; grows up to a limit */
        uint8_t *bytes;
        size_t len, cap, lost;
        uint64_t total;
        uint64_t last_time;        /* VM time of the newest byte */
        bool line;                 /* a newline came since the last take */
    } out[VMK_CHANNELS];
    struct net_port *nic[BOARD_MAX_NICS];         /* net/port.c */
    struct queue_peer *queue_peer[BOARD_MAX_NICS]; /* net/queue_peer.c */
    bool outside;                  /* frames come in by the host's time: idle no faster than that */
    _Atomic uint32_t frames_out;   /* bit per NIC whose queue_peer has frames */
    const struct board_cpu_ops *cpu;
    void *cpu_ctx;
    bool shut;
    char error[256];
};

/* Builds RAM, buses and every chip of dev/devices.c. NULL with text in err. */
struct board *board_create(const struct vmk_config *cfg, char *err, size_t errlen);
void board_destroy(struct board *b);

/* Ends every thread of the chips' backends; they could still kick a CPU. Before the CPUs go; the board
 * answers no access after it. board_destroy() does it if nobody has. */
void board_shut(struct board *b);

/* System reset: every chip's reset; RAM stays. */
void board_reset(struct board *b);

static inline uint64_t board_now(struct board *b)
{
    return clock_now(&b->clock);
}

/* Counts an event, and records it where its kind is asked for. A vCPU has a trace of its own. */
static inline void board_trace_to(struct trace *t, struct board *b, enum vmk_trace_kind kind, unsigned cpu,
                                  uint64_t x, uint64_t y, uint64_t z)
{
    t->count[kind]++;
    if (t->mask & 1u << kind)
        trace_add(t, kind, board_now(b), cpu, x, y, z);
}
static inline void board_trace(struct board *b, enum vmk_trace_kind kind, unsigned cpu, uint64_t x,
                               uint64_t y, uint64_t z)
{
    board_trace_to(&b->trace, b, kind, cpu, x, y, z);
}

/* Runs every chip whose deadline has come and delivers due inbox messages. Bounded: a chip that does not move
 * its deadline on is ticked once per call. */
void board_run_due(struct board *b);

/* Guest output on a channel (serial, debug console). Never blocks; past the limit new bytes are dropped and
 * counted. */
void board_output(struct board *b, enum vmk_channel ch, const void *bytes, size_t n);

/* The guest asked for a reset, power-off, or debug exit with `value`. The first request wins. */
void board_request(struct board *b, enum vmk_request what, uint32_t value);

/* First device of a class, by instance; NULL if the board has none. */
struct dev *board_find(struct board *b, const char *name, unsigned instance);

/* Adds a chip; used by dev/devices.c while the board is built. NULL with board->error set. */
struct dev *board_add(struct board *b, const struct dev_class *cls);

/* All devices and the clock as one byte string (for snapshots and the state hash). */
size_t board_state_size(const struct board *b);
void board_state_save(struct board *b, uint8_t *out);
int board_state_load(struct board *b, const uint8_t *in, size_t len);

/* Text for the host failure about to be returned as `code`. */
int board_fail(struct board *b, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
