/*
 * Page-table entries that one processor changes with LOCK while the page walks of the others set their
 * accessed and dirty bits (`cpus=N`): neither may undo what the other did (Intel SDM vol. 3, 4.8 and 8.1.2).
 * The changes are counted in the entry's own free bits.
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/smp.h"

enum { WALKS = 100000, PATIENCE = 100000, STEPS = 100, COUNT_SHIFT = 52, COUNT_MASK = 0x7f };
enum { ACCESSED_DIRTY = 0x60, VA = ALIASES };

static uint8_t target[PAGE] __attribute__((aligned(PAGE)));
static volatile uint32_t over, walks;
static unsigned lost, unmarked;

static volatile uint64_t *entry_of(uint64_t va)
{
    uint64_t table;

    asm volatile("movq %%cr3, %0" : "=r"(table));
    for (unsigned shift = 39;; shift -= 9) {
        volatile uint64_t *entry = (uint64_t *)(table & ~0xfffull) + (va >> shift & 511);
        if (shift == 12)
            return entry;
        table = *entry & 0x000ffffffffff000ull;
    }
}

static void forget(uint64_t va)
{
    asm volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static void change(volatile uint64_t *entry)
{
    for (unsigned i = 0; i < STEPS; i++) {
        asm volatile("lock addq %1, %0" : "+m"(*entry) : "r"(1ull << COUNT_SHIFT) : "cc");
        asm volatile("lock andq %1, %0" : "+m"(*entry) : "r"(~(uint64_t)ACCESSED_DIRTY) : "cc");
    }
    lost += (*entry >> COUNT_SHIFT & COUNT_MASK) != STEPS;
    asm volatile("lock andq %1, %0" : "+m"(*entry) : "r"(~((uint64_t)COUNT_MASK << COUNT_SHIFT)) : "cc");
}

static void work(unsigned cpu)
{
    volatile uint64_t *entry = entry_of(VA);
    unsigned cpus = smp_wanted();

    smp_barrier(cpus, 1);
    while (cpu && !over) {
        forget(VA);
        *(volatile uint8_t *)VA = 1;
        walks = walks + 1;
    }
    for (unsigned i = 0; !cpu && i < PATIENCE && walks < WALKS && cpus > 1; i++)
        change(entry);
    over = 1;
    smp_barrier(cpus, 2);
    if (cpu)
        return;
    asm volatile("lock andq %1, %0" : "+m"(*entry) : "r"(~(uint64_t)ACCESSED_DIRTY) : "cc");
    forget(VA);
    *(volatile uint8_t *)VA = 2;
    unmarked = (*entry & ACCESSED_DIRTY) != ACCESSED_DIRTY;
}

void main(void)
{
    unsigned cpus;

    map_page(VA, (uintptr_t)target, PTE_RW);
    cpus = smp_run(work);
    expect("processors", cpus, smp_wanted());
    expect("rounds that lost a change of the entry", lost, 0);
    expect("a store sets accessed and dirty", unmarked, 0);
}
