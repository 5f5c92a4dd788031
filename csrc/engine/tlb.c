/* The engine's TLB, filled and flushed by us.
 *
 * The engine looks every guest access up in a direct-mapped table per MMU mode; a miss calls tlb_fill here.
 * It walks the guest's tables (walk.c), asks the board what the guest-physical page is, and writes the entry:
 * RAM and ROM by host address, everything else as MMIO. This is where the SRAT decides about a page: the
 * first write since the dirty log was cleared comes through here, and no page that holds code is ever
 * directly writable (code_pages.c).
 *
 * The tables have a fixed size and entries are logged, so that a flush clears only what was filled: the stock
 * tables are resized by wall-clock time, which two runs would not agree on. Entries of global pages have a
 * log of their own and outlive a write to CR3, as on hardware; the stock TLB drops them. The layout is the
 * engine's (cputlb.c of the pinned version). */
#include "engine/tlb.h"

#include <stdlib.h>
#include <string.h>

#include "core/vcpu.h"
#include "core/vm.h"
#include "cpu/cpu.h"
#include "engine/code_pages.h"
#include "engine/engine.h"
#include "engine/jump.h"
#include "engine/walk.h"
#include "mem/srat.h"

#define ENTRIES 2048u
#define LOG_SIZE 4096u
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define EMPTY UINT64_MAX
#define LARGE_2M (2ull << 20)
#define REGION_SHIFT 22 /* 4 MiB: the larger of the two sizes of large pages */
#define REGION_SETS 1024u
#define HUGE_SHIFT 30

/* Slots filled since they were last cleared; past LOG_SIZE all count as filled. */
struct fill_log {
    uint32_t n;
    uint16_t slot[LOG_SIZE];     /* mode * ENTRIES + index */
};

struct engine_tlb {
    struct tlb_entry *table[MMU_MODES];
    struct iotlb_entry *io[MMU_MODES];
    struct fill_log own, global; /* of the current address space, and of all */
    bool victims; /* the engine itself filled (MMIO) and may have moved an entry to its victim table */
    uint64_t huge;               /* the same for 1 GiB pages, by GiB */
    uint64_t large[REGION_SETS / 64]; /* hashed 4 MiB regions of which some entry came from a large page */
    bool keep_global;            /* the flush under way is for a write to CR3 */
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

static void log_slot(struct fill_log *log, unsigned mode, unsigned index)
{
    if (log->n < LOG_SIZE)
        log->slot[log->n] = (uint16_t)(mode * ENTRIES + index);
    if (log->n <= LOG_SIZE)
        log->n++;
}

static struct tlb_entry *slot(struct engine_tlb *t, unsigned n)
{
    return &t->table[n / ENTRIES][n % ENTRIES];
}

/* Calls `visit` for every entry of a log, or for every entry there is when the log ran over. */
static void for_logged(struct engine_tlb *t, const struct fill_log *log,
                       void (*visit)(struct tlb_entry *, uint64_t), uint64_t arg)
{
    bool all = log->n > LOG_SIZE;
    unsigned n = all ? MMU_MODES * ENTRIES : log->n;
    for (unsigned i = 0; i < n; i++)
        visit(slot(t, all ? i : log->slot[i]), arg);
}

static void clear(struct tlb_entry *e, uint64_t unused)
{
    (void)unused;
    e->read = e->write = e->code = EMPTY;
}

static void clear_own(struct tlb_entry *e, uint64_t unused)
{
    if (!e->global)
        clear(e, unused);
}

static void protect(struct tlb_entry *e, uint64_t paddr)
{
    if (e->paddr == paddr)
        e->write = EMPTY;
}

void tlb_protect_page(struct vcpu *v, uint64_t page)
{
    struct engine_tlb *t = v->tlb;
    for_logged(t, &t->own, protect, page << PAGE_SHIFT);
    for_logged(t, &t->global, protect, page << PAGE_SHIFT);
    for (unsigned m = 0; m < MMU_MODES && t->victims; m++)
        for (unsigned k = 0; k < 8; k++)
            protect(&CPU_TLB_DESC(v->cpu)[m].victim[k], page << PAGE_SHIFT);
}

/* Not memory: the engine builds the entry, because only it knows its section numbers. */
static void fill_mmio(struct vcpu *v, uint64_t va, uint64_t gpa, int prot, int mode)
{
    v->tlb->victims = true;
    tlb_set_page_x86_64(v->cpu, va & PAGE_MASK, ENGINE_MMIO_BASE + (gpa & PAGE_MASK), prot & ~PROT_X, mode,
                        PAGE_SIZE);
    slot(v->tlb, (unsigned)mode * ENTRIES + (va >> PAGE_SHIFT) % ENTRIES)->global = false;
    log_slot(&v->tlb->own, (unsigned)mode, (va >> PAGE_SHIFT) % ENTRIES);
}

/* What the entry's write tag is: the page, the page with trapping flags, or nothing. */
static uint64_t write_tag(struct vcpu *v, uint64_t va, uint64_t page, const struct walk *w, int access,
                          uintptr_t ra)
{
    struct srat *s = &v->vm->srat;
    if (!(w->prot & PROT_W))
        return EMPTY;
    if (access == ACCESS_STORE) {
        srat_touch(s, page);
        bool trap = v->parallel ? code_written_parallel(v, page, ra)
                                : s->code_mask[page] && code_written(v, page, ra);
        /* NOTDIRTY alone would be lifted by the engine after the first store; it does not recognise the pair.
         */
        if (trap)
            return (va & PAGE_MASK) | TLB_NOTDIRTY | TLB_WATCHPOINT;
    } else if (!w->dirty || !srat_is(s, page, SRAT_DIRTY) || srat_code(s, page)) {
        return EMPTY;
    }
    srat_set(s, page, SRAT_WRITABLE);
    if (v->parallel && access != ACCESS_STORE && srat_code(s, page))
        return EMPTY; /* marked meanwhile: whoever did may have missed the flag */
    return va & PAGE_MASK;
}

static void fill_memory(struct vcpu *v, uint64_t va, uint64_t offset, const struct walk *w, int mode,
                        uint64_t write)
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
    e->global = w->global;
    e->addend = (uintptr_t)v->board->ram.host + offset - tag;
    t->io[mode][index] = (struct iotlb_entry){.addr = offset - tag};
    CPU_TLB_DIRTY(v->cpu) |= (uint16_t)(1u << mode);
    log_slot(w->global ? &t->global : &t->own, (unsigned)mode, index);
}

/* A non-canonical address: pushing an event's frame is a stack access as much as an instruction's own. */
static int noncanonical_vector(struct vcpu *v, uint64_t va, int access, uintptr_t ra)
{
    if (access == ACCESS_FETCH)
        return EXC_GP;
    if (v->delivering)
        return access == ACCESS_STORE ? EXC_SS : EXC_GP;
    engine_sync(v, ra);
    return cpu_uses_stack_segment(v, va) ? EXC_SS : EXC_GP;
}

static void raise_walk_fault(struct vcpu *v, uint64_t va, const struct walk *w, int access, uintptr_t ra)
{
    int vector = w->vector == EXC_GP ? noncanonical_vector(v, va, access, ra) : w->vector;
    v->fault_at_fetch = access == ACCESS_FETCH;
    if (vector == EXC_PF)
        v->guest->cr[2] = va;
    raise_exception_err_ra_x86_64(v->guest, vector, w->error, ra);
}

static unsigned region_set(uint64_t va)
{
    return (unsigned)((va >> REGION_SHIFT ^ va >> 32) % REGION_SETS);
}

static bool in_large_region(const struct engine_tlb *t, uint64_t va)
{
    unsigned set = region_set(va);
    return t->large[set / 64] >> (set % 64) & 1;
}

static void note_large(struct engine_tlb *t, uint64_t va, uint64_t page_size)
{
    unsigned set = region_set(va);
    t->large[set / 64] |= 1ull << (set % 64);
    if (page_size > 2 * LARGE_2M)
        t->huge |= 1ull << (va >> HUGE_SHIFT) % 64;
}

bool tlb_fill(void *cpu, uint64_t va, int size, int access, int mode, bool probe, uintptr_t ra)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    struct walk w;
    unsigned parks = v->parks;
    v->stats.tlb_fills++;
    if (v->parallel)
        cpu_poll(v);
    if (!walk_pages(v, va, access, mode, &w)) {
        if (!probe)
            raise_walk_fault(v, va, &w, access, ra);
        return false;
    }
    if (w.page_size > PAGE_SIZE)
        note_large(v->tlb, va, w.page_size);
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
    uint64_t write = write_tag(v, va, offset >> PAGE_SHIFT, &w, access, ra);
    if (v->parks != parks) /* what was looked up may have changed under us */
        return tlb_fill(cpu, va, size, access, mode, probe, ra);
    fill_memory(v, va, offset, &w, mode, write);
    return true;
}

static void flush_victims(struct vcpu *v)
{
    for (unsigned m = 0; m < MMU_MODES && v->tlb->victims; m++)
        memset(CPU_TLB_DESC(v->cpu)[m].victim, 0xff, sizeof(CPU_TLB_DESC(v->cpu)[m].victim));
    v->tlb->victims = false;
    memset(CPU_JMP_CACHE(v->cpu), 0, JMP_CACHE_ENTRIES * sizeof(void *));
}

static void flush_all(struct vcpu *v)
{
    struct engine_tlb *t = v->tlb;
    v->stats.tlb_flushes++;
    for_logged(t, &t->own, clear, 0);
    for_logged(t, &t->global, clear, 0);
    t->own.n = t->global.n = 0;
    t->huge = 0;
    memset(t->large, 0, sizeof(t->large));
    flush_victims(v);
    jump_forget(v);
}

/* A write to CR3: what is global stays. */
static void flush_own(struct vcpu *v)
{
    struct engine_tlb *t = v->tlb;
    v->stats.tlb_flushes++;
    for_logged(t, &t->own, clear_own, 0);
    t->own.n = 0;
    flush_victims(v);
    jump_forget_own(v);
}

bool tlb_find_code(struct vcpu *v, uint64_t pc, uint64_t *offset, bool *global)
{
    const struct tlb_entry *e = &v->tlb->table[tlb_mode(v->guest)][(pc >> PAGE_SHIFT) % ENTRIES];
    *offset = e->paddr | (pc & ~PAGE_MASK);
    *global = e->global;
    return e->code == (pc & PAGE_MASK);
}

void tlb_write_cr3(struct vcpu *v, uint64_t value)
{
    v->tlb->keep_global = v->guest->cr[4] & CR4_PGE;
    cpu_x86_update_cr3_x86_64(v->guest, value);
    v->tlb->keep_global = false;
}

static bool holds(const struct tlb_entry *e, uint64_t va, uint64_t mask)
{
    return ((e->read ^ va) & mask) == 0 || ((e->write ^ va) & mask) == 0 || ((e->code ^ va) & mask) == 0;
}

/* One page, and where it may be part of a large page, all 4 KiB entries of that 2 MiB (legacy 4 MiB pages
 * take two). */
static void flush_page(struct vcpu *v, uint64_t va)
{
    struct engine_tlb *t = v->tlb;
    uint64_t mask = PAGE_MASK & ~TLB_SLOW_INVALID;
    uint64_t first = va & PAGE_MASK, n = 1;
    bool large = in_large_region(t, va);
    if (large) {
        mask = ~(2 * LARGE_2M - 1);
        first = va & mask;
        n = 2 * LARGE_2M / PAGE_SIZE;
    }
    for (unsigned m = 0; m < MMU_MODES; m++) {
        for (uint64_t i = 0; i < n; i++) {
            struct tlb_entry *e = &t->table[m][((first >> PAGE_SHIFT) + i) % ENTRIES];
            if (holds(e, va, mask))
                clear(e, 0);
        }
        for (unsigned k = 0; k < 8 && t->victims; k++)
            if (holds(&CPU_TLB_DESC(v->cpu)[m].victim[k], va, mask))
                memset(&CPU_TLB_DESC(v->cpu)[m].victim[k], 0xff, sizeof(struct tlb_entry));
    }
    tb_flush_jmp_cache_x86_64(v->cpu, va);
    if (large)
        jump_forget(v);
    else
        jump_forget_page(v, va);
}

/* The engine's own requests. Before tlb_create() its stock tables are in place; while it closes there is no
 * vCPU any more. */
void __real_tlb_flush_x86_64(void *cpu);
void __wrap_tlb_flush_x86_64(void *cpu);
void __wrap_tlb_flush_x86_64(void *cpu)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    if (v && v->tlb && v->tlb->keep_global)
        flush_own(v);
    else if (v && v->tlb)
        flush_all(v);
    else
        __real_tlb_flush_x86_64(cpu);
}

void __real_tlb_flush_page_x86_64(void *cpu, uint64_t va);
void __wrap_tlb_flush_page_x86_64(void *cpu, uint64_t va);
void __wrap_tlb_flush_page_x86_64(void *cpu, uint64_t va)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    if (!v || !v->tlb)
        __real_tlb_flush_page_x86_64(cpu, va);
    else if (v->tlb->huge >> (va >> HUGE_SHIFT) % 64 & 1)
        flush_all(v);
    else
        flush_page(v, va);
}
