/* The loop around a block.
 *
 * Blocks are cut where the engine cuts them: from wherever control arrives to the first jump, so two may
 * share instructions. Each must be known to the engine, which keeps the count of instructions exact: a
 * block's instructions count where it begins. From the first block, direct jumps are followed within the
 * page; what cannot get back to it is left out, and jumps there leave the loop. */
#include "direct/find.h"

#include <string.h>

#define PAGE 4096

struct finder {
    const struct direct_code *code;
    struct direct_loop *loop;
    struct insn *insn;
    uint64_t pending[2 * DIRECT_BLOCKS + 1];
    unsigned depth;
};

static int find_block(const struct direct_loop *l, uint64_t pc)
{
    for (unsigned n = 0; n < l->blocks; n++)
        if (l->block[n].pc == pc)
            return (int)n;
    return -1;
}

/* Decodes the block at `pc` behind those found. False: it cannot be one of them. */
static bool add_block(struct finder *f, uint64_t pc)
{
    struct direct_loop *l = f->loop;
    struct direct_block b = {.pc = pc, .first = (uint16_t)l->insns};
    const struct insn *last;
    if (pc < f->code->va || pc - f->code->va >= PAGE || l->blocks == DIRECT_BLOCKS)
        return false;
    do {
        uint64_t at = pc + b.bytes - f->code->va;
        if (at >= PAGE || b.first + b.n == DIRECT_INSNS)
            return false;
        struct insn *i = &f->insn[b.first + b.n];
        if (!insn_decode(f->code->bytes + at, PAGE - at, pc + b.bytes, i))
            return false;
        b.bytes += i->len;
        b.n++;
        last = i;
    } while (!(last->bits & FORM_END));
    if (!f->code->is_block(f->code->ctx, pc, b.bytes, b.n))
        return false;
    l->insns += b.n;
    l->block[l->blocks++] = b;
    return true;
}

static const struct insn *last_insn(const struct finder *f, const struct direct_block *b)
{
    return &f->insn[b->first + b->n - 1];
}

/* Depth first, what falls through next: it then needs no jump. */
static void follow(struct finder *f, uint64_t pc)
{
    f->pending[f->depth++] = pc;
    while (f->depth) {
        pc = f->pending[--f->depth];
        if (find_block(f->loop, pc) >= 0 || !add_block(f, pc))
            continue;
        const struct direct_block *b = &f->loop->block[f->loop->blocks - 1];
        const struct insn *end = last_insn(f, b);
        f->pending[f->depth++] = end->target;
        if (end->op == OP_JCC)
            f->pending[f->depth++] = end->pc + end->len;
    }
}

static void link_blocks(struct finder *f)
{
    for (unsigned n = 0; n < f->loop->blocks; n++) {
        struct direct_block *b = &f->loop->block[n];
        const struct insn *end = last_insn(f, b);
        b->taken = (int16_t)find_block(f->loop, end->target);
        b->next = end->op == OP_JCC ? (int16_t)find_block(f->loop, end->pc + end->len) : -1;
    }
}

/* Marks the blocks from which block 0 can be reached. */
static void mark_returning(const struct direct_loop *l, bool *returns)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (unsigned n = 0; n < l->blocks; n++) {
            int taken = l->block[n].taken, next = l->block[n].next;
            bool r = taken == 0 || next == 0 || (taken > 0 && returns[taken]) || (next > 0 && returns[next]);
            changed |= r && !returns[n];
            returns[n] |= r;
        }
    }
}

static void keep_only(struct finder *f, const bool *keep)
{
    struct direct_loop *l = f->loop;
    unsigned blocks = 0, insns = 0;
    for (unsigned n = 0; n < l->blocks; n++) {
        struct direct_block b = l->block[n];
        if (!keep[n])
            continue;
        memmove(&f->insn[insns], &f->insn[b.first], b.n * sizeof(*f->insn));
        b.first = (uint16_t)insns;
        insns += b.n;
        l->block[blocks++] = b;
    }
    l->blocks = blocks;
    l->insns = insns;
}

bool direct_find(const struct direct_code *code, uint64_t pc, struct direct_loop *loop, struct insn *insn)
{
    struct finder f = {.code = code, .loop = loop, .insn = insn};
    bool returns[DIRECT_BLOCKS] = {false};
    loop->blocks = loop->insns = 0;
    follow(&f, pc);
    if (!loop->blocks || loop->block[0].pc != pc)
        return false;
    link_blocks(&f);
    mark_returning(loop, returns);
    if (!returns[0])
        return false;
    keep_only(&f, returns);
    link_blocks(&f);
    return true;
}
