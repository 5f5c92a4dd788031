/* A board without CPUs on the bench: manual clock, short names for port accesses, time that stops at every
 * deadline on its way. */
#ifndef VMK_TESTS_RIG_H
#define VMK_TESTS_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/board.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define RIG_EPOCH 946684800ull /* 2000-01-01 00:00:00, a Saturday */

#define RIG_MAX_STEPS 200000000u

static struct board *rig;

static inline struct board *rig_create_as(const struct vmk_config *cfg)
{
    char err[256] = "";
    struct board *b = board_create(cfg, err, sizeof(err));
    if (!b) {
        fprintf(stderr, "board: %s\n", err);
        exit(1);
    }
    return b;
}

static inline struct board *rig_create(uint64_t memory, uint32_t cpus, uint32_t debug_exit_port)
{
    const struct vmk_config cfg = {
        .memory = memory,
        .rtc_epoch = RIG_EPOCH,
        .cpus = cpus,
        .time_mode = VMK_TIME_MANUAL,
        .debug_exit_port = debug_exit_port,
    };
    return rig_create_as(&cfg);
}

static inline void rig_begin(void)
{
    rig = rig_create(1 << 20, 1, 0xf4);
}

static inline void rig_end(void)
{
    board_destroy(rig);
    rig = NULL;
}

static inline void rig_advance(uint64_t ns)
{
    uint64_t until = board_now(rig) + ns;
    for (unsigned steps = 0; rig->deadline <= until; steps++) {
        if (steps == RIG_MAX_STEPS) {
            fprintf(stderr, "board: deadline %llu does not move on\n", (unsigned long long)rig->deadline);
            exit(1);
        }
        clock_skip_to(&rig->clock, rig->deadline);
        board_run_due(rig);
    }
    clock_skip_to(&rig->clock, until);
}

static inline uint8_t in8(uint16_t port) { return (uint8_t)bus_port_read(rig, port, 1); }
static inline void out8(uint16_t port, uint8_t value) { bus_port_write(rig, port, 1, value); }

static inline void rig_event(const char *device, unsigned instance, enum inbox_kind kind, const void *bytes,
                             uint32_t len)
{
    int32_t index = (int32_t)board_find(rig, device, instance)->index;
    struct inbox_msg msg = {.kind = kind, .dev = index, .len = len};
    memcpy(msg.data, bytes, len);
    inbox_post(&rig->inbox, &msg);
    board_run_due(rig);
}

/* The PC's usual PIC set-up: vectors 0x20 and 0x28, all lines masked but those of `open`. */
static inline void rig_init_pic(uint16_t open)
{
    out8(0x20, 0x11), out8(0x21, 0x20), out8(0x21, 0x04), out8(0x21, 0x01);
    out8(0xa0, 0x11), out8(0xa1, 0x28), out8(0xa1, 0x02), out8(0xa1, 0x01);
    out8(0x21, (uint8_t)~open), out8(0xa1, (uint8_t)~(open >> 8));
}

static inline bool rig_line(unsigned gsi) { return rig->irq.source[gsi] != 0; }

#endif
