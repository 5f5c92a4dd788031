/*
 * Code and data in one page, on 2 to 4 processors at once (`cpus=N`): loops that store beside themselves, and
 * one processor that stores to a page which the others execute. Every store counts, and everybody gets on.
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/smp.h"

enum { ROUNDS = 2000, DATA = 2048, LEAF = 1024, ANSWER = 0x2a };

static uint8_t page[PAGE] __attribute__((aligned(PAGE)));
static unsigned right[MAX_CPUS];

static volatile uint64_t *counter(unsigned n)
{
    return (volatile uint64_t *)(page + DATA) + n;
}

/* inc qword [its counter]; dec ecx; jnz back; ret */
static void write_loop(unsigned cpu)
{
    static const uint8_t code[] = { 0x48, 0xff, 0x05, 0, 0, 0, 0, 0xff, 0xc9, 0x75, 0xf5, 0xc3 };
    uint8_t *at = page + cpu * 64;
    int32_t distance = (int32_t)((uintptr_t)counter(cpu) - (uintptr_t)(at + 7));

    copy_bytes(at, code, sizeof(code));
    copy_bytes(at + 3, &distance, sizeof(distance));
}

static void run_loop(unsigned cpu)
{
    uint64_t rounds = ROUNDS;

    asm volatile("callq *%1" : "+c"(rounds) : "r"(page + cpu * 64) : "memory", "cc");
}

static unsigned call_leaf(void)
{
    uint64_t value;

    asm volatile("callq *%1" : "=a"(value) : "r"(page + LEAF) : "memory", "cc");
    return value == ANSWER;
}

static void work(unsigned cpu)
{
    unsigned cpus = smp_wanted();

    smp_barrier(cpus, 1);
    run_loop(cpu);
    smp_barrier(cpus, 2);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (cpu == 0)
            *counter(MAX_CPUS) += 1;
        else
            right[cpu] += call_leaf();
    }
}

void main(void)
{
    static const uint8_t leaf[] = { 0xb8, ANSWER, 0, 0, 0, 0xc3 }; /* mov eax, ANSWER; ret */
    unsigned cpus, lost = 0, wrong = 0;

    for (unsigned i = 0; i < MAX_CPUS; i++)
        write_loop(i);
    copy_bytes(page + LEAF, leaf, sizeof(leaf));
    cpus = smp_run(work);
    for (unsigned i = 0; i < cpus; i++) {
        lost += *counter(i) != ROUNDS;
        wrong += i && right[i] != ROUNDS;
    }
    expect("processors", cpus, smp_wanted());
    expect("processors that lost a store beside their loop", lost, 0);
    expect("stores to a page that others execute", *counter(MAX_CPUS), ROUNDS);
    expect("processors that ran something else", wrong, 0);
}
