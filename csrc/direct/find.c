/* The loop around a block.
 *
 * Blocks are cut where the engine cuts them: from wherever control arrives to the first jump, so two may
 * share instructions. Each must be one of the engine's, which keeps the count of instructions exact: a
 * block's instructions count where it begins. From the first block, jumps are followed that the engine has
 * linked already, so that what it does when it links (it may fill the TLB) is not left out. What cannot get
 * back to the first block is no part of the loop. */
#include "direct/find.h"

#include <string.h>

#define PAGE 4096

struct found {
    uint64_t pc;
    const void *origin;
};

struct finder {
    const struct direct_code *code;
    struct direct_loop *loop;
    struct insn *insn;
    struct found pending[2 * DIRECT_BLOCKS + 1];
    unsigned depth;
};

static int find_block(const struct direct_loop *l, const void *origin)
{
    for (unsigned n = 0; n < l->blocks; n++)
        if (l->block[n].origin == origin)
            return (int)n;
    return -1;
}

/* Decodes a block behind those found. False: it cannot be one of them. */
static bool add_block(struct finder *f, struct found at)
{
    struct direct_loop *l = f->loop;
    struct direct_block b = {.pc = at.pc, .first = (uint16_t)l->insns, .origin = at.origin};
    const struct insn *last;
    if (at.pc < f->code->va || at.pc - f->code->va >= PAGE || l->blocks == DIRECT_BLOCKS)
        return false;
    do {
        uint64_t offset = at.pc + b.bytes - f->code->va;
        if (offset >= PAGE || b.first + b.n == DIRECT_INSNS)
            return false;
        struct insn *i = &f->insn[b.first + b.n];
        if (!insn_decode(f->code->bytes + offset, PAGE - offset, at.pc + b.bytes, i))
            return false;
        b.bytes += i->len;
        b.n++;
        last = i;
    } while (!(last->bits & FORM_END));
    if (!f->code->is_block(at.origin, at.pc, b.bytes, b.n))
        return false;
    for (unsigned jump = 0; jump < 2; jump++)
        b.out[jump] = f->code->jump(at.origin, jump);
    l->insns += b.n;
    l->block[l->blocks++] = b;
    return true;
}

static const struct insn *last_insn(const struct finder *f, const struct direct_block *b)
{
    return &f->insn[b->first + b->n - 1];
}

static void push(struct finder *f, const struct direct_block *from, unsigned jump, uint64_t pc)
{
    const void *origin = f->code->linked(from->origin, jump);
    if (origin)
        f->pending[f->depth++] = (struct found){pc, origin};
}

/* Depth first, what falls through next: it then needs no jump. */
static void follow(struct finder *f, struct found first)
{
    f->pending[f->depth++] = first;
    while (f->depth) {
        struct found at = f->pending[--f->depth];
        if (find_block(f->loop, at.origin) >= 0 || !add_block(f, at))
            continue;
        const struct direct_block *b = &f->loop->block[f->loop->blocks - 1];
        const struct insn *end = last_insn(f, b);
        bool conditional = end->op == OP_JCC;
        push(f, b, conditional, end->target);
        if (conditional)
            push(f, b, 0, end->pc + end->len);
    }
}

static int linked_block(const struct finder *f, const struct direct_block *b, unsigned jump)
{
    const void *origin = f->code->linked(b->origin, jump);
    return origin ? find_block(f->loop, origin) : -1;
}

static void link_blocks(struct finder *f)
{
    for (unsigned n = 0; n < f->loop->blocks; n++) {
        struct direct_block *b = &f->loop->block[n];
        b->to[0] = (int16_t)linked_block(f, b, 0);
        b->to[1] = last_insn(f, b)->op == OP_JCC ? (int16_t)linked_block(f, b, 1) : -1;
    }
}

/* Marks the blocks from which block 0 can be reached. */
static void mark_returning(const struct direct_loop *l, bool *returns)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (unsigned n = 0; n < l->blocks; n++) {
            int taken = l->block[n].to[1], next = l->block[n].to[0];
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

bool direct_find(const struct direct_code *code, const void *first, uint64_t pc, struct direct_loop *loop,
                 struct insn *insn)
{
    struct finder f = {.code = code, .loop = loop, .insn = insn};
    bool returns[DIRECT_BLOCKS] = {false};
    loop->blocks = loop->insns = 0;
    follow(&f, (struct found){pc, first});
    if (!loop->blocks || loop->block[0].origin != first)
        return false;
    link_blocks(&f);
    mark_returning(loop, returns);
    if (!returns[0])
        return false;
    keep_only(&f, returns);
    link_blocks(&f);
    return true;
}
