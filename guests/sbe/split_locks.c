/*
 * LOCK-prefixed accesses that one host instruction cannot do, on 2 to 4 processors at once (`cpus=N`): across
 * a cache line, across a page, merely misaligned, and to a chip's register. No update may be lost.
 */
#include "../lib/lapic.h"
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/smp.h"

enum { ROUNDS = 500, WITHIN_LINE = 131, ACROSS_LINES = 253, ACROSS_PAGES = PAGE - 3, LOCK_AT = 702 };
enum { STEP = 16 };

static uint8_t pages[2 * PAGE] __attribute__((aligned(PAGE)));
static uint64_t guarded, sum[MAX_CPUS];
static uint32_t priority[MAX_CPUS];

static uint64_t *counter(unsigned offset)
{
    return (uint64_t *)(pages + offset);
}

static void add_by_cmpxchg(uint64_t *at)
{
    uint64_t old = *at;
    uint8_t won;

    do
        asm volatile("lock cmpxchgq %3, %1; sete %0"
                     : "=q"(won), "+m"(*at), "+a"(old)
                     : "r"(old + 1)
                     : "cc");
    while (!won);
}

static void add_under_xchg(void)
{
    uint32_t *lock = (uint32_t *)(pages + LOCK_AT), taken = 1, free = 0;

    for (;;) {
        asm volatile("xchgl %0, %1" : "+r"(taken), "+m"(*lock));
        if (!taken)
            break;
        asm volatile("pause");
    }
    *(volatile uint64_t *)&guarded += 1;
    asm volatile("xchgl %0, %1" : "+r"(free), "+m"(*lock) : : "memory");
}

static void work(unsigned cpu)
{
    volatile uint32_t *tpr = (volatile uint32_t *)(0xfee00000ul + LAPIC_TPR);

    smp_barrier(smp_wanted(), 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t one = 1;
        asm volatile("lock incq %0" : "+m"(*counter(WITHIN_LINE)) : : "cc");
        asm volatile("lock xaddq %0, %1" : "+r"(one), "+m"(*counter(ACROSS_LINES)) : : "cc");
        sum[cpu] += one;
        add_by_cmpxchg(counter(ACROSS_PAGES));
        add_under_xchg();
    }
    *tpr = 0;
    for (unsigned i = 0; i < 5; i++)
        asm volatile("lock addl %1, %0" : "+m"(*tpr) : "i"(STEP) : "cc");
    priority[cpu] = *tpr;
    *tpr = 0;
}

void main(void)
{
    uint64_t cpus = smp_run(work), total = cpus * ROUNDS, seen = 0;
    unsigned wrong = 0;

    for (unsigned i = 0; i < cpus; i++) {
        seen += sum[i];
        wrong += priority[i] != 5 * STEP;
    }
    expect("processors", cpus, smp_wanted());
    expect("lock inc, misaligned", *counter(WITHIN_LINE), total);
    expect("lock xadd across cache lines", *counter(ACROSS_LINES), total);
    expect("lock xadd returned every value once", seen, total * (total - 1) / 2);
    expect("lock cmpxchg across pages", *counter(ACROSS_PAGES), total);
    expect("add under a misaligned xchg lock", guarded, total);
    expect("lock add to the local APIC", wrong, 0);
}
