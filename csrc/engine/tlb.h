/* The engine's TLB, filled and flushed by us. See tlb.c. */
#ifndef VMK_ENGINE_TLB_H
#define VMK_ENGINE_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/private.h"
#include "mem/ram.h"

struct vcpu;

/* Physical addresses inside the engine: RAM and ROM by their offset, everything else here, by guest-physical
 * address. */
#define ENGINE_MMIO_BASE (1ull << 39)
#define ENGINE_MMIO_SIZE (1ull << 39)

int tlb_create(struct vcpu *v);
void tlb_destroy(struct vcpu *v);
tlb_fill_fn tlb_fill;

/* Page `page` now holds code: no TLB entry of this engine may store to it without trapping. */
void tlb_protect_page(struct vcpu *v, uint64_t page);

/* MOV to CR3: flushes what is not global. */
void tlb_write_cr3(struct vcpu *v, uint64_t value);

/* The MMU mode in which the CPU now fetches and accesses data. */
static inline enum mmu_mode tlb_mode(const struct guest *g)
{
    if ((g->hflags & HF_CPL) == 3)
        return MMU_USER;
    return !(g->hflags & HF_SMAP) || g->rflags & FLAG_AC ? MMU_KERNEL : MMU_KERNEL_SMAP;
}

/* The entry in which a linear address would be found, for an access of the present mode. */
static inline const struct tlb_entry *tlb_entry_in(const struct guest *g, uint64_t va, int mode)
{
    const struct tlb_fast *fast = &CPU_TLB_FAST(UC_CPU(g->uc))[mode];
    return &fast->table[va >> PAGE_SHIFT & fast->mask / sizeof(struct tlb_entry)];
}

static inline const struct tlb_entry *tlb_entry_of(const struct guest *g, uint64_t va)
{
    return tlb_entry_in(g, va, (int)tlb_mode(g));
}

/* Where the code at a linear address is, if the TLB has it for the CPU's present mode: its offset in RAM or
 * ROM, and whether it is mapped in every address space. */
bool tlb_find_code(struct vcpu *v, uint64_t pc, uint64_t *offset, bool *global);

#endif
