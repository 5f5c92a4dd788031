/* Local APIC registers and state, shared by the lapic*.c files only. Offsets and bits: Intel SDM volume 3,
 * chapter "APIC". */
#ifndef VMK_DEV_LAPIC_REGS_H
#define VMK_DEV_LAPIC_REGS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/dev.h"

#define APIC_BASE_DEFAULT 0xfee00000ull
#define APIC_BASE_BSP (1ull << 8)
#define APIC_BASE_EXTD (1ull << 10) /* x2APIC */
#define APIC_BASE_EN (1ull << 11)
#define APIC_BASE_PHYS_BITS 40 /* as CPUID 80000008h says */

/* Registers by offset / 16, which is also the x2APIC MSR index - 0x800. */
enum {
    APIC_ID = 0x02, APIC_VERSION = 0x03, APIC_TPR = 0x08, APIC_APR = 0x09, APIC_PPR = 0x0a, APIC_EOI = 0x0b,
    APIC_LDR = 0x0d, APIC_DFR = 0x0e, APIC_SVR = 0x0f, APIC_ISR = 0x10, APIC_TMR = 0x18, APIC_IRR = 0x20,
    APIC_ESR = 0x28, APIC_ICR = 0x30, APIC_ICR_HIGH = 0x31, APIC_LVT = 0x32, APIC_INITIAL = 0x38,
    APIC_CURRENT = 0x39, APIC_DIVIDE = 0x3e, APIC_SELF_IPI = 0x3f, APIC_REGS = 0x40,
};

#define APIC_VERSION_VALUE 0x00050014u /* integrated APIC, LVT entries 0..5, no EOI-broadcast suppression */

enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_ENTRIES };

#define LVT_VECTOR 0xffu
#define LVT_MODE_SHIFT 8
#define LVT_MASKED (1u << 16)
#define LVT_TIMER_MODE_SHIFT 17
enum { TIMER_ONE_SHOT = 0, TIMER_PERIODIC = 1, TIMER_TSC_DEADLINE = 2 };

#define SVR_ENABLE (1u << 8)
#define DFR_FLAT 0xffffffffu

#define ESR_SEND_ILLEGAL (1u << 5)
#define ESR_RECEIVE_ILLEGAL (1u << 6)
#define ESR_ILLEGAL_REGISTER (1u << 7)

/* ICR low: 19:18 shorthand | 15 level | 14 assert | 12 busy | 11 logical | 10:8 mode | 7:0 vector */
#define ICR_MODE(v) ((v) >> 8 & 7)
#define ICR_LOGICAL (1u << 11)
#define ICR_BUSY (1u << 12)
#define ICR_ASSERT (1u << 14)
#define ICR_LEVEL (1u << 15)
#define ICR_SHORTHAND(v) ((v) >> 18 & 3)
#define ICR_VALID 0x000ccfffu
enum { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

struct lapic {
    uint64_t base;         /* MSR 0x1B */
    uint64_t timer_due;    /* VM ns of the next expiry; DEV_NEVER = the timer stands */
    uint64_t tsc_deadline; /* MSR 0x6E0, in guest TSC units; 0 = disarmed */
    uint64_t tsc_offset;   /* guest TSC - VM ns, modulo 2^64 */
    uint32_t isr[8], tmr[8], irr[8];
    uint32_t tpr, ldr, dfr, svr;
    uint32_t esr, esr_pending; /* a write to ESR moves what has piled up into view */
    uint32_t icr_low, icr_high;
    uint32_t lvt[LVT_ENTRIES];
    uint32_t initial, divide;
    uint32_t lint;   /* bit n: level of pin LINTn */
    uint32_t extint; /* an ExtINT message waits for the CPU */
};

static inline struct lapic *lapic_of(struct dev *d)
{
    return d->state;
}

static inline bool bitmap_test(const uint32_t map[8], unsigned vector)
{
    return map[vector >> 5] >> (vector & 31) & 1;
}

static inline void bitmap_put(uint32_t map[8], unsigned vector, bool on)
{
    uint32_t bit = 1u << (vector & 31);
    map[vector >> 5] = on ? map[vector >> 5] | bit : map[vector >> 5] & ~bit;
}

/* Highest vector set, or -1. Mostly there is none, and a CPU asks often: that case takes no branches. */
static inline int bitmap_top(const uint32_t map[8])
{
    uint32_t any = 0;
    for (unsigned word = 0; word < 8; word++)
        any |= map[word];
    if (!any)
        return -1;
    for (int word = 7; word >= 0; word--)
        if (map[word])
            return word * 32 + 31 - __builtin_clz(map[word]);
    return -1;
}

/* One register: who may access it how. `x2_writable`: bits an x2APIC write may set without a #GP. */
struct lapic_reg {
    uint8_t access;
    uint32_t x2_writable;
    uint32_t (*read)(struct dev *d, unsigned reg);
    void (*write)(struct dev *d, unsigned reg, uint32_t value);
};

enum lapic_access { XR = 1, XW = 2, X2R = 4, X2W = 8, RO = XR | X2R, WO = XW | X2W, RW = RO | WO };

extern const struct lapic_reg lapic_regs[APIC_REGS]; /* lapic_page.c */

static inline const struct lapic_reg *lapic_reg(unsigned reg, unsigned access)
{
    return reg < APIC_REGS && (lapic_regs[reg].access & access) ? &lapic_regs[reg] : NULL;
}

/* lapic.c */
unsigned lapic_processor_priority(const struct lapic *l);
/* After anything that may have opened the way for a vector or moved the timer. */
void lapic_settle(struct dev *d);
/* Into IRR; an illegal vector becomes an error. */
void lapic_raise(struct dev *d, unsigned vector, bool level);
void lapic_error(struct dev *d, uint32_t bit);

/* lapic_timer.c */
void lapic_timer_run(struct dev *d, uint64_t now); /* books an expiry that has come */
void lapic_timer_write_lvt(struct dev *d, uint32_t value);
void lapic_timer_write_initial(struct dev *d, uint32_t value);
void lapic_timer_write_divide(struct dev *d, uint32_t value);
uint32_t lapic_timer_current(struct dev *d);
void lapic_timer_write_deadline(struct dev *d, uint64_t tsc);
uint64_t lapic_timer_read_deadline(struct dev *d);
uint64_t lapic_timer_deadline(struct dev *d); /* struct dev_class.deadline */

/* lapic_ipi.c */
void lapic_send(struct dev *d, uint32_t low, uint32_t dest); /* an ICR write */

#endif
