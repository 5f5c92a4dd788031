/* The look-up behind every indirect jump, call and return of generated code: from the guest's state to the
 * block's host code.
 *
 * Replaces the engine's, which compares more and asks a hash table more often. Targets are remembered by
 * linear address, CS base and mode flags, under a generation: whatever may change what an address means (TLB
 * flush, INVLPG, dropped blocks) starts a new one, so forgetting everything is one increment. Targets in
 * global pages have a second generation, which a write to CR3 does not end. What is not found is looked for
 * by its place in memory, which no flush changes, and only then in the engine's hash table. */
#include "engine/jump.h"

#include <stdlib.h>
#include <string.h>

#include "core/vcpu.h"
#include "engine/direct.h"
#include "engine/private.h"
#include "engine/tlb.h"

#define ENTRIES 8192u
#define PAGE_SETS 8192u
#define PLACES 16384u
#define KEY_FLAGS (FLAG_IOPL | FLAG_TF | FLAG_RF | FLAG_VM | FLAG_AC)

struct target {
    uint64_t pc, cs_base;
    uint32_t flags, generation;
    void *code;
};

struct placed {
    struct target target;
    uint64_t offset; /* of its first byte in RAM or ROM */
    uint64_t blocks; /* the table's when it was put there */
};

struct jump_table {
    /* Generations, even and odd, so that an entry's says which kind it is; 0 is never current. */
    uint32_t own, global;
    uint32_t flushes; /* of the engine's whole block store, when last seen */
    uint64_t blocks;  /* how often blocks were dropped: a place remembered before is void */
    uint64_t pages[PAGE_SETS / 64]; /* hashed pages that some target since the last jump_forget() is in */
    struct target entry[ENTRIES];
    struct placed place[PLACES];
};

int jump_create(struct vcpu *v)
{
    v->jumps = calloc(1, sizeof(*v->jumps));
    if (!v->jumps)
        return VMK_ENOMEM;
    v->jumps->own = 2;
    v->jumps->global = 1;
    return VMK_OK;
}

void jump_destroy(struct vcpu *v)
{
    free(v->jumps);
    v->jumps = NULL;
}

/* Generations are used up after two thousand million flushes: then the table is cleared and they start again.
 */
static void next_generation(struct jump_table *t, uint32_t *generation, uint32_t first)
{
    *generation += 2;
    if (*generation >= 2)
        return;
    for (unsigned i = 0; i < ENTRIES; i++)
        t->entry[i].generation = 0;
    *generation = first;
}

void jump_blocks_dropped(struct vcpu *v)
{
    v->jumps->blocks++;
    jump_forget(v);
}

void jump_forget(struct vcpu *v)
{
    next_generation(v->jumps, &v->jumps->own, 2);
    next_generation(v->jumps, &v->jumps->global, 3);
    memset(v->jumps->pages, 0, sizeof(v->jumps->pages));
}

static unsigned page_set(uint64_t va)
{
    return (unsigned)((va >> PAGE_SHIFT ^ va >> 25) % PAGE_SETS);
}

/* Most pages that change hold no code, and cost one look here. */
void jump_forget_page(struct vcpu *v, uint64_t va)
{
    /* A block may begin in the page before. */
    for (uint64_t at = va - PAGE_SIZE; at != va + PAGE_SIZE; at += PAGE_SIZE) {
        unsigned set = page_set(at);
        if (v->jumps->pages[set / 64] >> (set % 64) & 1) {
            jump_forget(v);
            return;
        }
    }
}

void jump_forget_own(struct vcpu *v)
{
    next_generation(v->jumps, &v->jumps->own, 2);
}

void jump_note_translation(struct vcpu *v)
{
    uint32_t flushes = TCG_TB_FLUSH_COUNT(v->tcg);
    if (flushes == v->jumps->flushes)
        return;
    v->jumps->flushes = flushes;
    direct_forget_all(v);
    jump_blocks_dropped(v);
}

/* The engine puts a block's description before its code, both on cache lines. */
static const struct tb *block_of(const struct vcpu *v, void *code)
{
    const struct tb *tb = (const struct tb *)((char *)code - TB_BYTES);
    return tb->code == code ? tb : tcg_tb_lookup_x86_64(v->tcg, (uintptr_t)code);
}

static void remember(struct vcpu *v, struct target *e, struct target found, bool global)
{
    struct jump_table *t = v->jumps;
    *e = found;
    e->generation = global ? t->global : t->own;
    t->pages[page_set(found.pc) / 64] |= 1ull << (page_set(found.pc) % 64);
}

/* The table that a change of address space leaves alone: by place in memory as well. Blocks that cross into a
 * second page depend on two translations and are not kept. */
static void *find_by_place(struct vcpu *v, struct target *e, struct target wanted)
{
    struct jump_table *t = v->jumps;
    uint64_t offset;
    bool global;
    if (!tlb_find_code(v, wanted.pc, &offset, &global))
        return NULL;
    struct placed *p = &t->place[(offset ^ offset >> 14) % PLACES];
    if (p->offset != offset || p->blocks != t->blocks || p->target.pc != wanted.pc ||
        p->target.flags != wanted.flags || p->target.cs_base != wanted.cs_base)
        return NULL;
    remember(v, e, p->target, global);
    return p->target.code;
}

static void place(struct vcpu *v, struct target *e, struct target found)
{
    struct jump_table *t = v->jumps;
    const struct tb *tb = block_of(v, found.code);
    uint64_t offset;
    bool global, whole = tb && tb->page[1] == UINT64_MAX;
    if (!tlb_find_code(v, found.pc, &offset, &global))
        return;
    remember(v, e, found, global && whole);
    if (whole)
        t->place[(offset ^ offset >> 14) % PLACES] = (struct placed){found, offset, t->blocks};
}

void *__real_helper_lookup_tb_ptr_x86_64(struct guest *g);
void *__wrap_helper_lookup_tb_ptr_x86_64(struct guest *g);
void *__wrap_helper_lookup_tb_ptr_x86_64(struct guest *g)
{
    struct vcpu *v = UC_OWNER(g->uc);
    struct jump_table *t = v->jumps;
    if (__builtin_expect(CPU_INTERRUPT_REQUEST(v->cpu), 0))
        return TCG_EPILOGUE(v->tcg);
    uint64_t cs_base = g->seg[SEG_CS].base, pc = g->rip + cs_base;
    uint32_t flags = g->hflags | ((uint32_t)g->rflags & KEY_FLAGS);
    struct target *e = &t->entry[(pc ^ pc >> 13) % ENTRIES];
    bool current = e->generation == t->own || e->generation == t->global;
    if (__builtin_expect(e->pc == pc && e->flags == flags && e->cs_base == cs_base && current, 1))
        return e->code;
    struct target wanted = {.pc = pc, .cs_base = cs_base, .flags = flags};
    void *code = find_by_place(v, e, wanted);
    if (code)
        return code;
    wanted.code = __real_helper_lookup_tb_ptr_x86_64(g);
    if (wanted.code != TCG_EPILOGUE(v->tcg))
        place(v, e, wanted);
    return wanted.code;
}
