/* The engine's TLB, filled and flushed by us. See tlb.c. */
#ifndef VMK_ENGINE_TLB_H
#define VMK_ENGINE_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/private.h"

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

/* Where the code at a linear address is, if the TLB has it for the CPU's present mode: its offset in RAM or
 * ROM, and whether it is mapped in every address space. */
bool tlb_find_code(struct vcpu *v, uint64_t pc, uint64_t *offset, bool *global);

#endif
