/* The look-up behind every indirect jump, call and return of generated code: from the guest's state to the block's host code.
 *
 * Replaces the engine's, which compares more and asks a hash table more often. Targets are remembered by linear address, CS base and
 * mode flags, under a generation: whatever may change what an address means (TLB flush, INVLPG, dropped blocks) starts a new one, so
 * forgetting everything is one increment. */
#include "engine/jump.h"

#include <stdlib.h>

#include "core/vcpu.h"
#include "engine/private.h"

#define ENTRIES 8192u
#define KEY_FLAGS (FLAG_IOPL | FLAG_TF | FLAG_RF | FLAG_VM | FLAG_AC)

struct target {
    uint64_t pc, cs_base;
    uint32_t flags, generation;
    void *code;
};

struct jump_table {
    uint32_t generation;      /* entries of another one are void; 0 is never current */
    uint32_t flushes;         /* of the engine's whole block store, when last seen */
    struct target entry[ENTRIES];
};

int jump_create(struct vcpu *v)
{
    v->jumps = calloc(1, sizeof(*v->jumps));
    if (!v->jumps)
        return VMK_ENOMEM;
    v->jumps->generation = 1;
    return VMK_OK;
}

void jump_destroy(struct vcpu *v)
{
    free(v->jumps);
    v->jumps = NULL;
}

void jump_forget(struct vcpu *v)
{
    struct jump_table *t = v->jumps;
    if (++t->generation)
        return;
    for (unsigned i = 0; i < ENTRIES; i++)
        t->entry[i].generation = 0;
    t->generation = 1;
}

void jump_note_translation(struct vcpu *v)
{
    uint32_t flushes = TCG_TB_FLUSH_COUNT(v->tcg);
    if (flushes == v->jumps->flushes)
        return;
    v->jumps->flushes = flushes;
    jump_forget(v);
}

void *__real_helper_lookup_tb_ptr_x86_64(struct guest *g);
void *__wrap_helper_lookup_tb_ptr_x86_64(struct guest *g);
void *__wrap_helper_lookup_tb_ptr_x86_64(struct guest *g)
{
    struct vcpu *v = UC_OWNER(g->uc);
    struct jump_table *t = v->jumps;
    uint64_t cs_base = g->seg[SEG_CS].base, pc = g->rip + cs_base;
    uint32_t flags = g->hflags | ((uint32_t)g->rflags & KEY_FLAGS);
    struct target *e = &t->entry[(pc ^ pc >> 13) % ENTRIES];
    if (__builtin_expect(e->pc == pc && e->flags == flags && e->generation == t->generation && e->cs_base == cs_base, 1))
        return e->code;
    void *code = __real_helper_lookup_tb_ptr_x86_64(g);
    if (code != TCG_EPILOGUE(v->tcg))
        *e = (struct target){pc, cs_base, flags, t->generation, code};
    return code;
}
