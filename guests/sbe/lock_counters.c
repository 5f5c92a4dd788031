/*
 * LOCK-prefixed counters, locks and a double-width compare-and-swap on 2 to 4 processors at once (`cpus=N`):
 * no update may be lost. Sums are N/50 per processor and counter.
 */
#include "../lib/report.h"
#include "../lib/smp.h"

#ifndef N
#define N 10000000
#endif
enum { ROUNDS = N / 50 };

static struct {
    volatile uint64_t inc __attribute__((aligned(64)));
    volatile uint64_t xadd, xadd_sum __attribute__((aligned(64)));
    volatile uint64_t cmpxchg __attribute__((aligned(64)));
    volatile uint64_t pair[2] __attribute__((aligned(64)));
    volatile uint64_t guarded_by_xchg, guarded_by_bts __attribute__((aligned(64)));
    volatile uint32_t xchg_lock, bts_lock;
    volatile uint16_t word __attribute__((aligned(64)));
    volatile uint8_t bits[64] __attribute__((aligned(64)));
} shared;

static void add_by_cmpxchg(void)
{
    uint64_t old = shared.cmpxchg;
    uint8_t won;

    do
        asm volatile("lock cmpxchgq %3, %1; sete %0"
                     : "=q"(won), "+m"(shared.cmpxchg), "+a"(old)
                     : "r"(old + 1)
                     : "cc");
    while (!won);
}

/* The high half counts twice as fast as the low one. */
static void add_by_cmpxchg16b(void)
{
    uint64_t low = shared.pair[0], high = shared.pair[1];
    uint8_t won;

    do
        asm volatile("lock cmpxchg16b %1; sete %0"
                     : "=q"(won), "+m"(shared.pair), "+a"(low), "+d"(high)
                     : "b"(low + 1), "c"(high + 2)
                     : "cc");
    while (!won);
}

static void add_under_xchg(void)
{
    uint32_t taken = 1;

    for (;;) {
        asm volatile("xchgl %0, %1" : "+r"(taken), "+m"(shared.xchg_lock));
        if (!taken)
            break;
        asm volatile("pause");
    }
    shared.guarded_by_xchg = shared.guarded_by_xchg + 1;
    asm volatile("movl $0, %0" : "=m"(shared.xchg_lock) : : "memory");
}

static void add_under_bts(void)
{
    uint8_t taken;

    for (;;) {
        asm volatile("lock btsl $3, %1; setc %0" : "=q"(taken), "+m"(shared.bts_lock) : : "cc");
        if (!taken)
            break;
        asm volatile("pause");
    }
    shared.guarded_by_bts = shared.guarded_by_bts + 1;
    asm volatile("lock btrl $3, %0" : "+m"(shared.bts_lock) : : "cc", "memory");
}

static void work(unsigned cpu)
{
    smp_barrier(smp_wanted(), 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t one = 1;
        asm volatile("lock incq %0" : "+m"(shared.inc) : : "cc");
        asm volatile("lock xaddq %0, %1" : "+r"(one), "+m"(shared.xadd) : : "cc");
        asm volatile("lock addq %1, %0" : "+m"(shared.xadd_sum) : "r"(one) : "cc");
        asm volatile("lock incw %0" : "+m"(shared.word) : : "cc");
        asm volatile("lock incb %0" : "+m"(shared.bits[cpu]) : : "cc");
        add_by_cmpxchg();
        add_by_cmpxchg16b();
        add_under_xchg();
        add_under_bts();
    }
}

void main(void)
{
    uint64_t cpus = smp_run(work), total = cpus * ROUNDS;
    unsigned wrong_neighbours = 0;

    expect("processors", cpus, smp_wanted());
    expect("lock inc", shared.inc, total);
    expect("lock xadd", shared.xadd, total);
    expect("lock xadd returned every value once", shared.xadd_sum, total * (total - 1) / 2);
    expect("lock inc of 16 bits", shared.word, total & 0xffff);
    expect("lock cmpxchg", shared.cmpxchg, total);
    expect("lock cmpxchg16b, low half", shared.pair[0], total);
    expect("lock cmpxchg16b, high half", shared.pair[1], 2 * total);
    expect("plain add under an xchg lock", shared.guarded_by_xchg, total);
    expect("plain add under a bts lock", shared.guarded_by_bts, total);
    for (unsigned i = 0; i < cpus; i++)
        wrong_neighbours += shared.bits[i] != (ROUNDS & 0xff);
    expect("lock inc of neighbouring bytes", wrong_neighbours, 0);
}
