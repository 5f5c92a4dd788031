/* Stale code never runs: the one place where translated blocks of a changed page are dropped.
 *
 * Invariant: while any bit of a page's code_mask is set, every writable TLB entry of that page in every
 * engine traps. So a store, through whatever alias, reaches tlb_fill, which asks here. The whole page's
 * blocks go at once, except when the storing block lies in the page itself: then the mark stays, each store
 * traps, and the engine's own byte-precise path drops blocks and restarts the running one. The engine's stock
 * tracking re-arms by virtual address only and loses stores through aliases; none of it is used. */
#include "engine/code_pages.h"

#include "core/vcpu.h"
#include "core/vm.h"
#include "engine/alone.h"
#include "engine/direct.h"
#include "engine/jump.h"
#include "engine/private.h"
#include "engine/tlb.h"
#include "mem/srat.h"

static void invalidate(struct vcpu *v, uint64_t page)
{
    v->stats.code_invalidations++;
    direct_page_changed(v, page);
    jump_blocks_dropped(v);
    tb_invalidate_phys_range_x86_64(v->uc, page << PAGE_SHIFT, (page + 1) << PAGE_SHIFT);
}

static void invalidate_mask(struct vm *vm, uint64_t page, uint64_t mask)
{
    for (unsigned id = 0; mask; id++, mask >>= 1)
        if (mask & 1)
            invalidate(vm->vcpu[id], page);
}

void code_mark(struct vcpu *v, uint64_t page)
{
    struct srat *s = &v->vm->srat;
    uint64_t bit = 1ull << v->id;
    if (srat_code(s, page) & bit)
        return;
    __atomic_fetch_or(&s->code_mask[page], bit, __ATOMIC_SEQ_CST);
    if (!srat_is(s, page, SRAT_WRITABLE))
        return;
    world_stop(v->vm, v);
    for (unsigned i = 0; i < v->vm->cpus; i++)
        tlb_protect_page(v->vm->vcpu[i], page);
    srat_clear(s, page, SRAT_WRITABLE);
    s->code_mask[page] |= bit; /* somebody may have been faster in stopping the world */
    world_start(v->vm, v);
}

static bool block_in_page(struct vcpu *v, uint64_t page, uintptr_t ra)
{
    const struct tb *tb = ra ? tcg_tb_lookup_x86_64(v->tcg, ra) : NULL;
    return tb && (tb->page[0] >> PAGE_SHIFT == page ||
                  (tb->page[1] != UINT64_MAX && tb->page[1] >> PAGE_SHIFT == page));
}

bool code_written(struct vcpu *v, uint64_t page, uintptr_t ra)
{
    struct srat *s = &v->vm->srat;
    uint64_t own = 1ull << v->id;
    bool trap = s->code_mask[page] & own && block_in_page(v, page, ra);
    invalidate_mask(v->vm, page, trap ? s->code_mask[page] & ~own : s->code_mask[page]);
    s->code_mask[page] = trap ? own : 0;
    return trap;
}

bool code_written_parallel(struct vcpu *v, uint64_t page, uintptr_t ra)
{
    struct srat *s = &v->vm->srat;
    uint64_t own = 1ull << v->id, mask;
    if (v->alone)
        return s->code_mask[page] && code_written(v, page, ra);
    for (;;) {
        srat_set(s, page, SRAT_WRITABLE);
        mask = srat_code(s, page);
        if (!mask)
            return false;
        if (mask & own && block_in_page(v, page, ra))
            alone_begin(v, ra);
        if (mask == own) {
            invalidate(v, page);
            __atomic_fetch_and(&s->code_mask[page], ~own, __ATOMIC_SEQ_CST);
            continue;
        }
        world_stop(v->vm, v);
        code_forget(v, page);
        world_start(v->vm, v);
    }
}

void code_forget(struct vcpu *v, uint64_t page)
{
    struct srat *s = &v->vm->srat;
    invalidate_mask(v->vm, page, s->code_mask[page]);
    s->code_mask[page] = 0;
}

/* The engine looks for blocks under a store that trapped: only our deliberately trapping entries get here. */
void __real_tb_invalidate_phys_page_fast_x86_64(uc_engine *uc, void *pages, uint64_t start, int len,
                                                uintptr_t ra);
void __wrap_tb_invalidate_phys_page_fast_x86_64(uc_engine *uc, void *pages, uint64_t start, int len,
                                                uintptr_t ra);
void __wrap_tb_invalidate_phys_page_fast_x86_64(uc_engine *uc, void *pages, uint64_t start, int len,
                                                uintptr_t ra)
{
    struct vcpu *v = UC_OWNER(uc);
    if (v->parallel && !v->alone && ra) /* 0: an event is being delivered, and cannot start again */
        alone_begin(v, ra);
    world_stop(v->vm, v);
    uint64_t page = start >> PAGE_SHIFT, others = v->vm->srat.code_mask[page] & ~(1ull << v->id);
    invalidate_mask(v->vm, page, others);
    v->vm->srat.code_mask[page] &= ~others;
    world_start(v->vm, v);
    v->smc_caller = ra;
    direct_page_changed(v, page);
    jump_blocks_dropped(v);
    __real_tb_invalidate_phys_page_fast_x86_64(uc, pages, start, len, ra);
}

/* Called once a block has been translated: the engine wants its pages write-tracked. */
void __wrap_tlb_reset_dirty_by_vaddr_x86_64(void *cpu, uint64_t start, uint64_t len);
void __wrap_tlb_reset_dirty_by_vaddr_x86_64(void *cpu, uint64_t start, uint64_t len)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    for (uint64_t va = start & ~(PAGE_SIZE - 1); va < start + len; va += PAGE_SIZE) {
        void *host = NULL;
        get_page_addr_code_hostp_x86_64(v->guest, va, &host);
        if (host)
            code_mark(v, (uint64_t)((uint8_t *)host - v->board->ram.host) >> PAGE_SHIFT);
    }
}
