/*
 * Splits 2 MiB pages of the identity map into page tables on demand (Intel SDM vol. 3, 4.5). Leaves out
 * freeing them.
 */
#include "paging.h"

#include "report.h"

enum { TABLES = 8, ENTRIES = 512, LARGE = 0x80 };
static const uint64_t address_mask = 0x000ffffffffff000;

extern uint64_t page_directories[];
static uint64_t tables[TABLES][ENTRIES] __attribute__((aligned(4096)));
static unsigned used;

static uint64_t *split(uint64_t *pde)
{
    uint64_t *table = tables[used++];

    if (used > TABLES) {
        expect("page tables left", 0, 1);
        done();
    }
    for (uint64_t i = 0; i < ENTRIES; i++)
        table[i] = (*pde & address_mask) + i * PAGE + PTE_RW;
    *pde = (uint64_t)table | PTE_RW;
    return table;
}

void map_page(uint64_t va, uint64_t pa, uint64_t flags)
{
    uint64_t *pde = &page_directories[va >> 21];
    uint64_t *table = *pde & LARGE ? split(pde) : (uint64_t *)(*pde & address_mask);

    table[va >> 12 & (ENTRIES - 1)] = pa | flags;
    asm volatile("invlpg (%0)" : : "r"(va) : "memory");
}
