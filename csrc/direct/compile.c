/* From the blocks of a loop to host code.
 *
 * Owns which guest register is where, the blocks' order and their ends, the exact count at each block start,
 * and the ways in and out. Code runs in the frame of the engine's generated code and keeps its conventions:
 * RBP is the guest's state, the way out asks the engine where to go and jumps there. Between blocks the
 * guest's flags are saved in RAX; everything else it needs is in the registers of `map`. */
#include <stdlib.h>
#include <string.h>

#include "direct/compiler.h"

static const uint8_t pool[HOST_POOL] = {H_RCX, H_RDX, H_RBX, H_RSI, H_RDI, 8, 9, 10, 11, 12, 13};

static void count_use(unsigned *uses, uint8_t reg)
{
    if (reg != NO_REG)
        uses[reg]++;
}

static void written(struct compiler *c, uint8_t reg)
{
    c->written |= (uint16_t)(1u << reg);
}

static void count_vectors(struct compiler *c, const struct insn *i)
{
    if (i->vec & VEC_REG)
        c->vectors |= (uint16_t)(1u << i->reg);
    if (i->vec & VEC_REG_W)
        c->vectors_written |= (uint16_t)(1u << i->reg);
    if (i->vec & VEC_RM && !i->mem)
        c->vectors |= (uint16_t)(1u << i->rm);
    if (i->vec & VEC_RM_W && !i->mem)
        c->vectors_written |= (uint16_t)(1u << i->rm);
}

#define MUST 0x10000u /* more uses than a loop can have */

static void count_uses(struct compiler *c, unsigned *uses)
{
    for (unsigned k = 0; k < c->loop->insns; k++) {
        const struct insn *i = &c->insn[k];
        if (i->bits & (FORM_REG_R | FORM_REG_W))
            count_use(uses, i->reg);
        if (i->bits & FORM_REG_W)
            written(c, i->reg);
        bool general_rm = !i->mem && i->rm != NO_REG && !(i->vec & VEC_RM);
        if (general_rm)
            count_use(uses, i->rm);
        if (general_rm && i->bits & FORM_RM_W)
            written(c, i->rm);
        if (i->vec)
            count_vectors(c, i);
        if (i->mem) {
            count_use(uses, i->base);
            count_use(uses, i->index);
        }
        if (i->by_cl)
            uses[RCX] += MUST;
        if (i->op == OP_GROUP3 && i->effect == EFFECT_MUL) {
            count_use(uses, RAX);
            count_use(uses, RDX);
            uses[RDX] += MUST;
            written(c, RAX);
            written(c, RDX);
        }
    }
}

static bool in_pool(uint8_t reg)
{
    for (unsigned k = 0; k < HOST_POOL; k++)
        if (pool[k] == reg)
            return true;
    return false;
}

/* The most used get a host register: their own, where that is one of the pool. */
static void allocate(struct compiler *c)
{
    unsigned uses[16] = {0};
    uint16_t taken = 0, chosen = 0;
    memset(c->map, NO_REG, sizeof(c->map));
    count_uses(c, uses);
    for (unsigned n = 0; n < HOST_POOL; n++) {
        unsigned best = 16;
        for (unsigned g = 0; g < 16; g++)
            if (uses[g] && !(chosen >> g & 1) && (best == 16 || uses[g] > uses[best]))
                best = g;
        if (best == 16)
            break;
        chosen |= (uint16_t)(1u << best);
    }
    for (unsigned g = 0; g < 16; g++) {
        if (chosen >> g & 1 && in_pool((uint8_t)g)) {
            c->map[g] = (uint8_t)g;
            taken |= (uint16_t)(1u << g);
        }
    }
    unsigned next = 0;
    for (unsigned g = 0; g <= 16; g++) { /* 16: the count, if there is a register left for it */
        if (g < 16 && (!(chosen >> g & 1) || c->map[g] != NO_REG))
            continue;
        while (next < HOST_POOL && taken >> pool[next] & 1)
            next++;
        uint8_t reg = next < HOST_POOL ? pool[next++] : NO_REG;
        if (g < 16)
            c->map[g] = reg;
        else
            c->left = reg;
    }
}

void call_routine(struct compiler *c, uintptr_t routine)
{
    asm_patch(&c->a, asm_near_call(&c->a), routine);
}

static struct operand state(size_t field)
{
    return at(STATE, (int32_t)field);
}

/* Everything that may have changed, to the guest's state. Clobbers RAX and TEMP. */
static void spill_routine(struct compiler *c)
{
    struct assembler *a = &c->a;
    c->spill[0] = asm_here(a);
    asm_mov(a, 4, TEMP, FLAGS);
    asm_shift(a, 5, 4, TEMP, 8);
    asm_group1(a, 4, 4, in_reg(TEMP), FLAGS_ARITH & 0xff);
    asm_group1(a, 4, 4, in_reg(FLAGS), 1);
    asm_shift(a, 4, 4, FLAGS, 11);
    asm_modrm(a, 0x0b, 4, FLAGS, in_reg(TEMP));
    asm_store(a, 8, state(offsetof(struct guest, cc_src)), FLAGS);
    asm_constant(a, TEMP, CC_OP_EFLAGS);
    asm_store(a, 4, state(offsetof(struct guest, cc_op)), TEMP);
    c->spill[1] = asm_here(a);
    for (unsigned g = 0; g < 16; g++)
        if (c->map[g] != NO_REG && c->written >> g & 1)
            asm_store(a, 8, guest_reg((uint8_t)g), c->map[g]);
    for (unsigned x = 0; x < 16; x++)
        if (c->vectors_written >> x & 1)
            asm_vector(a, 0, OP_MOVUPS_STORE, false, (uint8_t)x, guest_vector(x), 0);
    if (c->left != NO_REG)
        asm_store(a, 8, state(offsetof(struct guest, left)), c->left);
    asm_byte(a, 0xc3);
}

static void reload_routine(struct compiler *c)
{
    struct assembler *a = &c->a;
    c->reload[0] = asm_here(a);
    asm_load(a, 4, FLAGS, state(offsetof(struct guest, cc_src)));
    asm_mov(a, 4, TEMP, FLAGS);
    asm_shift(a, 5, 4, FLAGS, 11);
    asm_group1(a, 4, 4, in_reg(FLAGS), 1);
    asm_shift(a, 4, 4, TEMP, 8);
    asm_modrm(a, 0x0b, 4, FLAGS, in_reg(TEMP));
    c->reload[1] = asm_here(a);
    for (unsigned g = 0; g < 16; g++)
        if (c->map[g] != NO_REG)
            asm_load(a, 8, c->map[g], guest_reg((uint8_t)g));
    for (unsigned x = 0; x < 16; x++)
        if (c->vectors >> x & 1)
            asm_vector(a, 0, OP_MOVUPS, false, (uint8_t)x, guest_vector(x), 0);
    if (c->left != NO_REG)
        asm_load(a, 8, c->left, state(offsetof(struct guest, left)));
    asm_byte(a, 0xc3);
}

/* `leave`: guest->rip is set; to the block there, or the engine's main loop. */
static void routines(struct compiler *c)
{
    struct assembler *a = &c->a;
    const uint8_t jmp_rax[] = {0xff, 0xe0};
    spill_routine(c);
    reload_routine(c);
    c->leave = asm_here(a);
    asm_mov(a, 8, H_RDI, STATE);
    asm_call(a, c->host->next_block);
    asm_bytes(a, jmp_rax, sizeof(jmp_rax));
}

static struct stub *new_stub(struct compiler *c, int kind, uint8_t *from, uint64_t pc)
{
    struct stub *s = &c->stub[c->stubs++];
    *s = (struct stub){.kind = kind, .from = from, .pc = pc};
    return s;
}

static struct operand left(const struct compiler *c)
{
    return c->left != NO_REG ? in_reg(c->left) : state(offsetof(struct guest, left));
}

/* As engine/count.c has it: take the block's instructions from what is left; below zero, ask. */
static void count_block(struct compiler *c, const struct direct_block *b)
{
    struct assembler *a = &c->a;
    asm_group1(a, 5, 8, left(c), b->n);
    struct stub *s = new_stub(c, STUB_LIMIT, asm_jump_if(a, IF_S), b->pc);
    s->lazy = c->flags.lazy;
    s->flags = c->flags;
    s->behind = asm_here(a);
}

static void one_insn(struct compiler *c, const struct direct_block *b, unsigned k)
{
    const struct insn *i = &c->insn[k];
    struct stub *s = NULL;
    bool spoils = c->flags.again && again_spoils(c->flags.again, i);
    if (spoils && c->needed[k] && !insn_writes_all_flags(i))
        flags_save(c);
    if (insn_access(i)) {
        struct direct_access *access = &c->loop->access[c->loop->accesses++];
        *access = (struct direct_access){.loop = c->loop,
                                         .pc = i->pc,
                                         .undone = b->first + b->n - k,
                                         .size = i->rm_size,
                                         .first_half = i->vec & VEC_MOVE ? i->reg + 1 : 0,
                                         .block = (uint8_t)(b - c->loop->block)};
        if (!c->flags.again)
            flags_save(c);
        s = new_stub(c, STUB_ACCESS, NULL, i->pc);
        s->access = access;
        access_check(c, i, s);
    }
    flags_before(c, i, c->needed[k]);
    rename_insn(c, i);
    if (s)
        s->behind = asm_here(&c->a);
    if (spoils)
        c->flags.again = NULL;
    flags_after(c, i, c->needed[k]);
}

static void new_exit(struct compiler *c, uint8_t *from, uint64_t pc, const void *out)
{
    struct stub *s = new_stub(c, STUB_EXIT, from, pc);
    s->out = out;
    s->flags = c->flags;
}

static void edge(struct compiler *c, uint8_t *from, const struct direct_block *b, unsigned jump, uint64_t pc)
{
    if (b->to[jump] < 0)
        new_exit(c, from, pc, b->out[jump]);
    else
        c->jump[c->jumps++] = (struct jump){from, b->to[jump]};
}

/* The block's jump, its flags saved for wherever it leads. `next` is the block whose code follows. */
static void end_block(struct compiler *c, const struct direct_block *b, int next)
{
    const struct insn *i = &c->insn[b->first + b->n - 1];
    bool conditional = i->op == OP_JCC;
    if (!again_kept(c, b))
        flags_save(c);
    if (conditional) {
        flags_make_live(c, insn_reads_of(i));
        edge(c, asm_jump_if(&c->a, i->cond), b, 1, i->target);
    }
    if (next < 0 || b->to[0] != next)
        edge(c, asm_jump(&c->a), b, 0, conditional ? i->pc + i->len : i->target);
}

static void one_block(struct compiler *c, const struct direct_block *b, bool lazy, int next)
{
    const struct insn *again = lazy ? NULL : c->entered[b - c->loop->block];
    c->flags = (struct flags_state){.saved = !lazy && !again, .lazy = lazy, .again = again};
    count_block(c, b);
    for (unsigned k = b->first; k < b->first + b->n - 1u; k++)
        one_insn(c, b, k);
    end_block(c, b, next);
}

static void set_rip(struct compiler *c, uint64_t pc)
{
    asm_constant(&c->a, TEMP, pc);
    asm_store(&c->a, 8, state(offsetof(struct guest, rip)), TEMP);
}

/* Out of the loop as out of the engine's block: through its own jump, which is linked or gets itself linked.
 */
static void exit_stub(struct compiler *c, const struct stub *s)
{
    asm_patch_here(&c->a, s->from);
    c->flags = s->flags;
    flags_save(c);
    call_routine(c, c->spill[s->lazy]);
    if (!s->out)
        set_rip(c, s->pc);
    asm_patch(&c->a, asm_jump(&c->a), s->out ? (uintptr_t)s->out : c->leave);
}

static void limit_stub(struct compiler *c, const struct stub *s, const struct direct_block *b)
{
    struct assembler *a = &c->a;
    const uint8_t test_al[] = {0x84, 0xc0};
    asm_patch_here(a, s->from);
    asm_group1(a, 0, 8, left(c), b->n);
    c->flags = s->flags;
    flags_save(c);
    call_routine(c, c->spill[s->lazy]);
    set_rip(c, s->pc);
    asm_mov(a, 8, H_RDI, STATE);
    asm_constant(a, H_RSI, (uintptr_t)c->loop);
    asm_call(a, (const void *)c->host->limit);
    asm_bytes(a, test_al, sizeof(test_al));
    asm_patch(a, asm_jump_if(a, IF_NE), c->leave);
    call_routine(c, c->reload[s->lazy]);
    asm_group1(a, 5, 8, left(c), b->n);
    asm_patch(a, asm_jump(a), s->behind);
}

static const struct direct_block *block_of(const struct compiler *c, uint64_t pc)
{
    const struct direct_block *b = c->loop->block;
    while (b->pc != pc)
        b++;
    return b;
}

static void all_stubs(struct compiler *c)
{
    access_find_routines(c);
    for (unsigned n = 0; n < c->stubs; n++) {
        const struct stub *s = &c->stub[n];
        if (s->kind == STUB_ACCESS)
            access_stub(c, s);
        else if (s->kind == STUB_EXIT)
            exit_stub(c, s);
        else
            limit_stub(c, s, block_of(c, s->pc));
    }
}

/* Entries are counted: a loop that is left soon each time costs more than it saves. The first time round,
 * block 0 finds the flags where the engine left them. Where it reads them they have to be worked out; most
 * often it does not, and is compiled once more, to be entered without. */
static void enter(struct compiler *c)
{
    struct assembler *a = &c->a;
    const uint8_t jmp_rax[] = {0xff, 0xe0};
    bool lazy = flags_may_be_lazy(c);
    uintptr_t judge = asm_here(a);
    asm_mov(a, 8, H_RDI, STATE);
    asm_constant(a, H_RSI, (uintptr_t)c->loop);
    asm_call(a, (const void *)c->host->judge);
    asm_bytes(a, jmp_rax, sizeof(jmp_rax));
    c->loop->entry = (const void *)asm_here(a);
    asm_group1(a, 5, 4, near(&c->loop->data->credit), 1);
    asm_patch(a, asm_jump_if(a, IF_E), judge);
    if (!lazy) {
        asm_group1(a, 7, 4, state(offsetof(struct guest, cc_op)), CC_OP_EFLAGS);
        uint8_t *known = asm_jump_if(a, IF_E);
        asm_mov(a, 8, H_RDI, STATE);
        asm_call(a, (const void *)c->host->flags);
        asm_patch_here(a, known);
    }
    call_routine(c, c->reload[lazy]);
    access_forget_sites(c);
    if (lazy)
        one_block(c, &c->loop->block[0], true, -1);
    else
        asm_patch(a, asm_jump(a), c->block_at[0]);
}

/* Code refers to these for as long as it lives. */
static bool allocate_accesses(struct direct_loop *l, const struct insn *insn)
{
    unsigned n = 1;
    for (unsigned k = 0; k < l->insns; k++)
        n += insn_access(&insn[k]) ? 1 + (k < l->block[0].n) : 0;
    l->access = calloc(n, sizeof(*l->access));
    return l->access;
}

static void compile(struct compiler *c)
{
    struct direct_loop *l = c->loop;
    allocate(c);
    flags_find_needed(c);
    again_plan(c);
    routines(c);
    for (unsigned n = 0; n < l->blocks; n++) {
        c->block_at[n] = asm_here(&c->a);
        one_block(c, &l->block[n], false, n + 1 < l->blocks ? (int)n + 1 : -1);
    }
    enter(c);
    for (unsigned n = 0; n < c->jumps; n++)
        asm_patch(&c->a, c->jump[n].from, c->block_at[c->jump[n].block]);
    all_stubs(c);
}

bool direct_compile(struct direct_loop *loop, const struct insn *insn, const struct direct_host *host,
                    struct direct_room *room)
{
    struct compiler *c = calloc(1, sizeof(*c));
    bool fits = false;
    if (c && allocate_accesses(loop, insn)) {
        c->a = (struct assembler){room->write, room->end, false};
        c->loop = loop;
        c->host = host;
        c->insn = insn;
        compile(c);
        fits = !c->a.full;
        if (fits)
            room->write = c->a.p;
    }
    free(c);
    return fits;
}
