/* HPET registers (offsets from 0xFED00000) and their bits. */
#ifndef VMK_DEV_HPET_REGS_H
#define VMK_DEV_HPET_REGS_H

enum hpet_reg {
    HPET_CAPABILITIES = 0x000,
    HPET_CONFIG = 0x010,
    HPET_STATUS = 0x020,
    HPET_COUNTER = 0x0f0,
    HPET_TIMER = 0x100, /* + 0x20 * n */
    HPET_TIMER_STRIDE = 0x20,
    HPET_TIMER_CONFIG = 0x00,
    HPET_TIMER_COMPARATOR = 0x08,
};

enum { CONFIG_ENABLE = 0x1, CONFIG_LEGACY = 0x2 };

enum {
    TIMER_LEVEL = 0x0002,
    TIMER_INT_ENABLE = 0x0004,
    TIMER_PERIODIC = 0x0008,
    TIMER_PERIODIC_CAP = 0x0010, /* read-only */
    TIMER_SIZE_64 = 0x0020,      /* read-only */
    TIMER_SET_ACCUMULATOR = 0x0040,
    TIMER_32BIT = 0x0100,
    TIMER_ROUTE = 0x3e00,
    TIMER_ROUTE_SHIFT = 9,
    TIMER_WRITABLE = 0x3f4e,
};

#endif
