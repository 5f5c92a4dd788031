/* The engine's TLB, filled and flushed by us.
 *
 * The engine looks every guest access up in a direct-mapped table per MMU mode; a miss calls tlb_fill here. It walks the guest's tables
 * (walk.c), asks the board what the guest-physical page is, and writes the entry: RAM and ROM by host address, everything else as MMIO.
 * This is where the SRAT decides about a page: the first write since the dirty log was cleared comes through here, and no page that
 * holds code is ever directly writable (code_pages.c).
 *
 * The tables have a fixed size and entries are logged, so that a flush clears only what was filled: the stock tables are resized by
 * wall-clock time, which two runs would not agree on. The layout is the engine's (cputlb.c of the pinned version). */
#include "engine/tlb.h"

#include <stdlib.h>
#include <string.h>

#include "core/vcpu.h"
#include "core/vm.h"
#include "engine/code_pages.h"
#include "engine/jump.h"
#include "engine/walk.h"
#include "mem/srat.h"

#define ENTRIES 2048u
#define LOG_SIZE 4096u
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define EMPTY UINT64_MAX
#define LARGE_2M (2ull << 20)

struct engine_tlb {
    struct tlb_entry *table[MMU_MODES];
    struct iotlb_entry *io[MMU_MODES];
    uint32_t nlog;               /* slots filled since the last flush; past LOG_SIZE all count as filled */
    uint16_t log[LOG_SIZE];      /* mode * ENTRIES + index */
    bool victims;                /* the engine itself filled (MMIO) and may have moved an entry to its victim table */
    bool large, huge;            /* some entry came from a 2/4 MiB or 1 GiB page */
};

int tlb_create(struct vcpu *v)
{
    struct engine_tlb *t = calloc(1, sizeof(*t));
    if (!t)
        return VMK_ENOMEM;
    v->tlb = t;
    for (unsigned m = 0; m < MMU_MODES; m++) {
        struct tlb_fast *fast = &CPU_TLB_FAST(v->cpu)[m];
        struct tlb_desc *desc = &CPU_TLB_DESC(v->cpu)[m];
        t->table[m] = aligned_alloc(64, ENTRIES * sizeof(struct tlb_entry));
        t->io[m] = calloc(ENTRIES, sizeof(struct iotlb_entry));
        if (!t->table[m] || !t->io[m])
            return VMK_ENOMEM;
        free(fast->table); /* the engine frees ours when it closes */
        free(desc->io);
        memset(t->table[m], 0xff, ENTRIES * sizeof(struct tlb_entry));
        memset(desc->victim, 0xff, sizeof(desc->victim));
        fast->table = t->table[m];
        fast->mask = (ENTRIES - 1) * sizeof(struct tlb_entry);
        desc->io = t->io[m];
    }
    return VMK_OK;
}

void tlb_destroy(struct vcpu *v)
{
    free(v->tlb);
    v->tlb = NULL;
}

static void log_slot(struct engine_tlb *t, unsigned mode, unsigned index)
{
    if (t->nlog < LOG_SIZE)
        t->log[t->nlog] = (uint16_t)(mode * ENTRIES + index);
    if (t->nlog <= LOG_SIZE)
        t->nlog++;
}

static struct tlb_entry *slot(struct engine_tlb *t, unsigned n)
{
    return &t->table[n / ENTRIES][n % ENTRIES];
}

static void clear(struct tlb_entry *e)
{
    e->read = e->write = e->code = EMPTY;
}

void tlb_protect_page(struct vcpu *v, uint64_t page)
{
    struct engine_tlb *t = v->tlb;
    bool all = t->nlog > LOG_SIZE;
    unsigned n = all ? MMU_MODES * ENTRIES : t->nlog;
    for (unsigned i = 0; i < n; i++) {
        struct tlb_entry *e = slot(t, all ? i : t->log[i]);
        if (e->paddr == page << PAGE_SHIFT)
            e->write = EMPTY;
    }
    for (unsigned m = 0; m < MMU_MODES && t->victims; m++)
        for (unsigned k = 0; k < 8; k++)
            if (CPU_TLB_DESC(v->cpu)[m].victim[k].paddr == page << PAGE_SHIFT)
                CPU_TLB_DESC(v->cpu)[m].victim[k].write = EMPTY;
}

/* Not memory: the engine builds the entry, because only it knows its section numbers. */
static void fill_mmio(struct vcpu *v, uint64_t va, uint64_t gpa, int prot, int mode)
{
    v->tlb->victims = true;
    tlb_set_page_x86_64(v->cpu, va & PAGE_MASK, ENGINE_MMIO_BASE + (gpa & PAGE_MASK), prot & ~PROT_X, mode, PAGE_SIZE);
    log_slot(v->tlb, (unsigned)mode, (va >> PAGE_SHIFT) % ENTRIES);
}

/* What the entry's write tag is: the page, the page with trapping flags, or nothing. */
static uint64_t write_tag(struct vcpu *v, uint64_t va, uint64_t page, const struct walk *w, int access, uintptr_t ra)
{
    struct srat *s = &v->vm->srat;
    if (!(w->prot & PROT_W))
        return EMPTY;
    if (access == ACCESS_STORE) {
        srat_touch(s, page);
        /* NOTDIRTY alone would be lifted by the engine after the first store; it does not recognise the pair. */
        if (s->code_mask[page] && code_written(v, page, ra))
            return (va & PAGE_MASK) | TLB_NOTDIRTY | TLB_WATCHPOINT;
    } else if (!w->dirty || !(s->flags[page] & SRAT_DIRTY) || s->code_mask[page]) {
        return EMPTY;
    }
    s->flags[page] |= SRAT_WRITABLE;
    return va & PAGE_MASK;
}

static void fill_memory(struct vcpu *v, uint64_t va, uint64_t offset, const struct walk *w, int mode, uint64_t write)
{
    struct engine_tlb *t = v->tlb;
    unsigned index = (va >> PAGE_SHIFT) % ENTRIES;
    struct tlb_entry *e = &t->table[mode][index];
    uint64_t tag = va & PAGE_MASK;
    offset &= PAGE_MASK;
    e->read = w->prot & PROT_R ? tag : EMPTY;
    e->code = w->prot & PROT_X ? tag : EMPTY;
    e->write = write;
    e->paddr = offset;
    e->addend = (uintptr_t)v->board->ram.host + offset - tag;
    t->io[mode][index] = (struct iotlb_entry){.addr = offset - tag};
    CPU_TLB_DIRTY(v->cpu) |= (uint16_t)(1u << mode);
    log_slot(t, (unsigned)mode, index);
}

static void raise_walk_fault(struct vcpu *v, uint64_t va, const struct walk *w, int access, uintptr_t ra)
{
    v->fault_at_fetch = access == ACCESS_FETCH;
    if (w->vector == EXC_PF)
        v->guest->cr[2] = va;
    raise_exception_err_ra_x86_64(v->guest, w->vector, w->error, ra);
}

bool tlb_fill(void *cpu, uint64_t va, int size, int access, int mode, bool probe, uintptr_t ra)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    struct walk w;
    (void)size;
    v->stats.tlb_fills++;
    if (!walk_pages(v, va, access, mode, &w)) {
        if (!probe)
            raise_walk_fault(v, va, &w, access, ra);
        return false;
    }
    v->tlb->large |= w.page_size > PAGE_SIZE;
    v->tlb->huge |= w.page_size > 2 * LARGE_2M;
    uint64_t offset = ram_read_offset(v->board, w.gpa), target = ram_write_offset(v->board, w.gpa);
    if (offset == RAM_NOT_MEMORY && access == ACCESS_FETCH) {
        /* Nothing there decodes: the bus floats at FF FF, which is #UD. */
        v->fault_at_fetch = true;
        raise_exception_err_ra_x86_64(v->guest, EXC_UD, 0, ra);
    }
    if (offset == RAM_NOT_MEMORY || (access == ACCESS_STORE && target != offset)) {
        fill_mmio(v, va, w.gpa, w.prot, mode);
        return true;
    }
    if (target != offset)
        w.prot &= ~PROT_W;
    fill_memory(v, va, offset, &w, mode, write_tag(v, va, offset >> PAGE_SHIFT, &w, access, ra));
    return true;
}

static void flush_all(struct vcpu *v)
{
    struct engine_tlb *t = v->tlb;
    v->stats.tlb_flushes++;
    if (t->nlog > LOG_SIZE)
        for (unsigned m = 0; m < MMU_MODES; m++)
            memset(t->table[m], 0xff, ENTRIES * sizeof(struct tlb_entry));
    else
        for (unsigned i = 0; i < t->nlog; i++)
            clear(slot(t, t->log[i]));
    for (unsigned m = 0; m < MMU_MODES && t->victims; m++)
        memset(CPU_TLB_DESC(v->cpu)[m].victim, 0xff, sizeof(CPU_TLB_DESC(v->cpu)[m].victim));
    t->nlog = 0;
    t->victims = t->large = t->huge = false;
    memset(CPU_JMP_CACHE(v->cpu), 0, JMP_CACHE_ENTRIES * sizeof(void *));
    jump_forget(v);
}

static bool holds(const struct tlb_entry *e, uint64_t va, uint64_t mask)
{
    return ((e->read ^ va) & mask) == 0 || ((e->write ^ va) & mask) == 0 || ((e->code ^ va) & mask) == 0;
}

/* One page, and where it may be part of a large page, all 4 KiB entries of that 2 MiB (legacy 4 MiB pages take two). */
static void flush_page(struct vcpu *v, uint64_t va)
{
    struct engine_tlb *t = v->tlb;
    uint64_t mask = PAGE_MASK & ~TLB_SLOW_INVALID;
    uint64_t first = va & PAGE_MASK, n = 1;
    if (t->large) {
        mask = ~(2 * LARGE_2M - 1);
        first = va & mask;
        n = 2 * LARGE_2M / PAGE_SIZE;
    }
    for (unsigned m = 0; m < MMU_MODES; m++) {
        for (uint64_t i = 0; i < n; i++) {
            struct tlb_entry *e = &t->table[m][((first >> PAGE_SHIFT) + i) % ENTRIES];
            if (holds(e, va, mask))
                clear(e);
        }
        for (unsigned k = 0; k < 8 && t->victims; k++)
            if (holds(&CPU_TLB_DESC(v->cpu)[m].victim[k], va, mask))
                memset(&CPU_TLB_DESC(v->cpu)[m].victim[k], 0xff, sizeof(struct tlb_entry));
    }
    tb_flush_jmp_cache_x86_64(v->cpu, va);
    jump_forget(v);
}

/* The engine's own requests. Before tlb_create() its stock tables are still in place. */
void __real_tlb_flush_x86_64(void *cpu);
void __wrap_tlb_flush_x86_64(void *cpu);
void __wrap_tlb_flush_x86_64(void *cpu)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    if (v && v->tlb)
        flush_all(v);
    else
        __real_tlb_flush_x86_64(cpu);
}

void __wrap_tlb_flush_page_x86_64(void *cpu, uint64_t va);
void __wrap_tlb_flush_page_x86_64(void *cpu, uint64_t va)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    if (v->tlb->huge)
        flush_all(v);
    else
        flush_page(v, va);
}
