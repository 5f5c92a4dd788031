/* Direct execution: finding hot loops, entering them, and serving what their code leaves to us.
 *
 * A second tier above the engine's translation: guest and host speak the same instruction set, and a hot loop
 * of ordinary instructions runs nearly as it is (direct/compile.c). Loops are found by samples, taken every
 * so many instructions at the check that each block begins with. The engine's block at the loop's start is
 * overwritten with a jump to the compiled loop; there is no other hook, and a loop leaves through the
 * engine's own look-up of the next block.
 *
 * None of it may show. Blocks, and so the places where interrupts can come, are the engine's; instructions
 * count as there; the TLB is filled by the same accesses in the same order; every fault has the same state.
 * Leaves out: code that changes itself while it runs in a loop (its page is left to the engine). */
#include "engine/direct.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/vcpu.h"
#include "core/vm.h"
#include "cpu/cpu.h"
#include "direct/find.h"
#include "engine/engine.h"
#include "engine/private.h"
#include "engine/tlb.h"
#include "engine/walk.h"
#include "mem/ram.h"

#define CODE_BYTES (8u << 20)
#define LOOPS 1024u
/* A page of data for each loop, at its end: processors take a load for dependent on a store to the same place
 * in another page, and short buffers of guests begin where pages do. */
#define DATA_AT 0xd40u
#define DATA_BYTES (LOOPS * (unsigned)PAGE_SIZE)
_Static_assert(DATA_AT + sizeof(struct direct_data) <= PAGE_SIZE, "room for data");
#define PERIOD 8191u  /* instructions between samples: prime, not to keep step with a loop */
#define HEADS 1024u
#define HOT 2u
#define RETRY 16u
#define TRIES 8
#define CREDIT 4096u    /* entries between two judgements of a loop */
#define SHORT_STAY 64u  /* instructions */
#define PAGE_SET 4096u
#define JUMP_BYTES 5
#define JMP 0xe9
#define NO_JUMP 0xffff
#define NEAR_ENOUGH (1ll << 30)
#define HINT_STEP (32ull << 20)

/* A block that was seen when a sample was due. */
struct head {
    uint64_t pc;
    uint32_t hits, tries;
};

struct direct {
    struct direct_host host[MMU_MODES];
    uint8_t *code, *data;           /* CODE_BYTES for the loops, and behind them their data */
    struct direct_room room;
    struct direct_loop *loop[LOOPS];
    unsigned loops;
    struct direct_loop *running;    /* whose access or safe point is being served */
    unsigned undone;
    uint64_t sample_at, period;
    unsigned hot, retry; /* hits until the first attempt at a block, and half of those until the second */
    bool off;
    struct head head[HEADS];
    struct insn insn[DIRECT_INSNS]; /* of the loop being compiled */
    /* Sets of guest-physical pages, hashed. */
    uint64_t pages[PAGE_SET / 64];  /* with loops */
    uint64_t banned[PAGE_SET / 64]; /* that write to themselves */
};

static bool in_set(const uint64_t *set, uint64_t page)
{
    return set[page % PAGE_SET / 64] >> page % 64 & 1;
}

static void add_to_set(uint64_t *set, uint64_t page)
{
    set[page % PAGE_SET / 64] |= 1ull << page % 64;
}

static struct vcpu *owner(struct guest *g)
{
    return UC_OWNER(g->uc);
}

static void forget_sites(struct direct_loop *l)
{
    for (unsigned n = 0; n < l->sites; n++)
        l->data->site[n].limit = 0;
}

static void current_flags(struct guest *g)
{
    g->cc_src = helper_read_eflags_x86_64(g) & FLAGS_ARITH;
    g->cc_op = CC_OP_EFLAGS;
}

static void begin_access(struct vcpu *v, const struct direct_access *a)
{
    v->guest->rip = a->pc;
    v->direct->undone = a->undone;
    v->direct->running = a->loop;
}

static void end_access(struct vcpu *v, const struct direct_access *a)
{
    v->direct->undone = 0;
    v->direct->running = NULL;
    forget_sites(a->loop);
}

static void load(struct guest *g, uint64_t va, const struct direct_access *a)
{
    struct vcpu *v = owner(g);
    struct direct_data *data = a->loop->data;
    data->va = va;
    begin_access(v, a);
    data->value[0] = engine_load(v, va, a->size == 16 ? 8 : a->size, 0);
    if (a->size == 16) {
        /* The second half may fault; the engine has put the first into its register by then. */
        uint8_t *half = a->first_half ? g->xmm[a->first_half - 1] : NULL;
        if (half)
            memcpy(half, &data->value[0], 8);
        data->value[1] = engine_load(v, va + 8, 8, 0);
    }
    end_access(v, a);
}

static bool in_block(struct vcpu *v, uint64_t va, const struct direct_access *a)
{
    const struct direct_block *b = &a->loop->block[a->block];
    uint64_t gpa, at;
    if (!walk_peek(v, va, &gpa))
        return false;
    at = ram_read_offset(v->board, gpa);
    return at >> PAGE_SHIFT == a->loop->page && (at - b->pc) % PAGE_SIZE < b->bytes;
}

/* A store into its own block: the engine starts a block at the storing instruction, and so does this. */
static void store(struct guest *g, const struct direct_access *a)
{
    struct vcpu *v = owner(g);
    struct direct_data *data = a->loop->data;
    begin_access(v, a);
    for (unsigned k = 0; k < a->size; k++) {
        if (in_block(v, data->va + k, a)) {
            g->left += a->undone;
            add_to_set(v->direct->banned, a->loop->page);
            direct_page_changed(v, a->loop->page);
            end_access(v, a);
            engine_resume_at(v);
        }
    }
    engine_store(v, data->va, a->size == 16 ? 8 : a->size, data->value[0], 0);
    if (a->size == 16)
        engine_store(v, data->va + 8, 8, data->value[1], 0);
    end_access(v, a);
}

/* Counts, like times, may lie before zero: what costs more than an instruction moves limits back. */
static bool reached(uint64_t count, uint64_t limit)
{
    return (int64_t)(count - limit) >= 0;
}

void engine_set_limit(struct vcpu *v, uint64_t limit)
{
    struct direct *d = v->direct;
    uint64_t now = guest_icount(v->guest);
    v->due = limit;
    if (d && !d->off) {
        if (reached(now, d->sample_at))
            d->sample_at = now + d->period;
        if (!reached(d->sample_at, limit))
            limit = d->sample_at;
    }
    guest_set_limit(v->guest, limit);
}

static bool only_a_sample(struct vcpu *v)
{
    if (reached(guest_icount(v->guest), v->due))
        return false;
    engine_set_limit(v, v->due);
    return true;
}

/* True: leave the loop. One whose code changed is left at the first block start behind the change, as blocks
 * that are void are. */
static bool at_limit(struct guest *g, struct direct_loop *l)
{
    struct vcpu *v = owner(g);
    if (l->dropped)
        return true;
    if (g->left > 0)
        return false;
    if (only_a_sample(v)) {
        l->samples++;
        return false;
    }
    v->direct->running = l;
    bool leave = cpu_safe_point(v);
    v->direct->running = NULL;
    if (leave)
        engine_resume_at(v);
    forget_sites(l);
    if (l->dropped)
        engine_kick(v);
    return false;
}

static struct head *find_head(struct direct *d, uint64_t pc)
{
    struct head *h = &d->head[(pc ^ pc >> 12) % HEADS];
    if (h->pc != pc)
        *h = (struct head){.pc = pc};
    return h;
}

static void unpatch(struct direct_loop *l)
{
    if (l->patched)
        memcpy(l->patched, l->original, JUMP_BYTES);
    l->patched = NULL;
}

/* A loop that is left after a few instructions each time is not worth its entries. */
static const void *judge(struct guest *g, struct direct_loop *l)
{
    struct direct *d = owner(g)->direct;
    uint64_t instructions = l->samples * d->period;
    l->data->credit = CREDIT;
    l->samples = 0;
    if (d->period != PERIOD || instructions >= CREDIT * SHORT_STAY)
        return l->entry;
    const void *block = l->patched;
    find_head(d, l->block[0].pc)->tries = TRIES + 1;
    unpatch(l);
    l->dropped = true;
    return block;
}

unsigned direct_undone(struct vcpu *v)
{
    unsigned undone = v->direct ? v->direct->undone : 0;
    if (undone) {
        v->direct->undone = 0;
        forget_sites(v->direct->running);
        v->direct->running = NULL;
    }
    return undone;
}

static void drop(struct vcpu *v, struct direct_loop *l)
{
    unpatch(l);
    l->dropped = true;
    if (l == v->direct->running)
        engine_kick(v);
}

void direct_page_changed(struct vcpu *v, uint64_t page)
{
    struct direct *d = v->direct;
    if (!d || !in_set(d->pages, page))
        return;
    for (unsigned n = 0; n < d->loops; n++)
        if (d->loop[n]->page == page && !d->loop[n]->dropped)
            drop(v, d->loop[n]);
}

/* The places that were patched are the engine's new code by now. */
void direct_forget_all(struct vcpu *v)
{
    struct direct *d = v->direct;
    for (unsigned n = 0; d && n < d->loops; n++) {
        d->loop[n]->patched = NULL;
        drop(v, d->loop[n]);
    }
}

static void free_loop(struct direct_loop *l)
{
    free(l->access);
    free(l);
}

/* Not while a loop runs: from a sample only. */
static void start_afresh(struct direct *d)
{
    for (unsigned n = 0; n < d->loops; n++) {
        unpatch(d->loop[n]);
        free_loop(d->loop[n]);
    }
    d->loops = 0;
    d->room = (struct direct_room){d->code, d->code + CODE_BYTES};
    memset(d->head, 0, sizeof(d->head));
    memset(d->pages, 0, sizeof(d->pages));
}

static uint8_t *map_at(uintptr_t hint, const uint8_t *near)
{
    uint8_t *room = mmap((void *)(hint & ~0xfffffull), CODE_BYTES + DATA_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    int64_t distance = room - near;
    if (distance < NEAR_ENOUGH && distance > -NEAR_ENOUGH)
        return room;
    munmap(room, CODE_BYTES + DATA_BYTES);
    return NULL;
}

/* Code and data near the engine's code, where the process has room: a hint that is taken may lead anywhere.
 * The code is writable only while something is compiled. */
static bool map_room(struct direct *d, const uint8_t *near)
{
    for (uintptr_t far = 9 * HINT_STEP; !d->code && far < NEAR_ENOUGH; far += HINT_STEP) {
        d->code = map_at((uintptr_t)near + far, near);
        if (!d->code)
            d->code = map_at((uintptr_t)near - far, near);
    }
    if (!d->code)
        return false;
    d->data = d->code + CODE_BYTES;
    start_afresh(d);
    return true;
}

static bool protect(struct direct *d, int prot)
{
    return mprotect(d->code, CODE_BYTES, prot) == 0;
}

static void patch(struct direct_loop *l, uint8_t *code)
{
    int32_t distance = (int32_t)((const uint8_t *)l->entry - (code + JUMP_BYTES));
    memcpy(l->original, code, JUMP_BYTES);
    l->patched = code;
    code[0] = JMP;
    memcpy(code + 1, &distance, sizeof(distance));
}

void *__wrap_helper_lookup_tb_ptr_x86_64(struct guest *g);
#define NOT_IN_LOOPS (FLAG_TF | FLAG_RF | FLAG_VM | HF_INHIBIT)
#define CF_CLUSTER 0xff000000u /* part of every block's key */

static bool is_block(const void *block, uint64_t pc, unsigned bytes, unsigned insns)
{
    const struct tb *tb = block;
    return tb->pc == pc && tb->size == bytes && tb->icount == insns && tb->page[1] == UINT64_MAX &&
           !(tb->cflags & ~CF_CLUSTER);
}

/* The low bit says that the block is going. */
static const void *linked(const void *block, unsigned jump)
{
    const struct tb *tb = block, *to = (const struct tb *)tb->jump_to[jump];
    return !to || (uintptr_t)to & 1 || to->flags != tb->flags || to->page[0] != tb->page[0] ? NULL : to;
}

static const void *jump_in_code(const void *block, unsigned jump)
{
    const struct tb *tb = block;
    const uint8_t *at = (const uint8_t *)tb->code + tb->jump_at[jump] - 1;
    return tb->jump_reset[jump] == NO_JUMP || *at != JMP ? NULL : at;
}

static enum mmu_mode mode_of(uint32_t flags)
{
    if ((flags & HF_CPL) == 3)
        return MMU_USER;
    return !(flags & HF_SMAP) || flags & FLAG_AC ? MMU_KERNEL : MMU_KERNEL_SMAP;
}

static bool may_begin(struct vcpu *v, const struct tb *tb)
{
    return tb->flags & HF_CS64 && !(tb->flags & NOT_IN_LOOPS) && !tb->cs_base &&
           !in_set(v->direct->banned, tb->page[0] >> PAGE_SHIFT);
}

static bool find_loop(struct vcpu *v, const struct tb *tb, struct direct_loop *l)
{
    struct direct_code code = {.va = tb->pc & ~(PAGE_SIZE - 1),
                               .bytes = v->board->ram.host + tb->page[0],
                               .is_block = is_block,
                               .linked = linked,
                               .jump = jump_in_code};
    l->page = tb->page[0] >> PAGE_SHIFT;
    l->data = (struct direct_data *)(v->direct->data + v->direct->loops * PAGE_SIZE + DATA_AT);
    l->data->credit = CREDIT;
    return direct_find(&code, tb, tb->pc, l, v->direct->insn);
}

/* False also where the host does not let the code be executed again: then there are no loops any more. */
static bool compile(struct direct *d, enum mmu_mode mode, struct direct_loop *l)
{
    bool compiled = protect(d, PROT_READ | PROT_WRITE) &&
                    direct_compile(l, d->insn, &d->host[mode], &d->room);
    if (protect(d, PROT_READ | PROT_EXEC))
        return compiled;
    d->off = true;
    start_afresh(d);
    return false;
}

static void make_room(struct direct *d, const uint8_t *near)
{
    if (!d->code && !map_room(d, near))
        d->off = true;
    else if (d->loops == LOOPS || d->room.end - d->room.write < CODE_BYTES / 16)
        start_afresh(d);
}

static void promote(struct vcpu *v, struct tb *tb)
{
    struct direct *d = v->direct;
    make_room(d, tb->code);
    struct direct_loop *l = d->off ? NULL : calloc(1, sizeof(*l));
    if (!l)
        return;
    if (!find_loop(v, tb, l) || !compile(d, mode_of(tb->flags), l)) {
        free_loop(l);
        return;
    }
    d->loop[d->loops++] = l;
    add_to_set(d->pages, l->page);
    v->stats.direct_loops++;
    patch(l, tb->code);
}

/* Hot: seen twice. A block whose loop cannot be compiled is tried again, rarely: the engine may have linked
 * more of its blocks by then. */
static bool is_hot(struct direct *d, uint64_t pc)
{
    struct head *h = find_head(d, pc);
    if (++h->hits < (h->tries ? d->retry << h->tries : d->hot) || h->tries > TRIES)
        return false;
    h->hits = 0;
    h->tries++;
    return true;
}

bool direct_sample(struct vcpu *v, struct tb *tb)
{
    struct direct *d = v->direct;
    if (!d || !only_a_sample(v))
        return false;
    if (!d->off && is_hot(d, tb->pc) && may_begin(v, tb))
        promote(v, tb);
    return true;
}

int direct_create(struct vcpu *v)
{
    if (v->vm->direct == VMK_DIRECT_OFF || v->vm->parallel)
        return VMK_OK; /* with threads, others change the TLB and drop blocks while this vCPU runs */
    struct direct *d = calloc(1, sizeof(*d));
    if (!d)
        return VMK_ENOMEM;
    v->direct = d;
    bool eager = v->vm->direct == VMK_DIRECT_EAGER;
    d->period = eager ? 1 : PERIOD;
    d->hot = eager ? 1 : HOT;
    d->retry = eager ? 1 : RETRY;
    for (unsigned m = 0; m < MMU_MODES; m++)
        d->host[m] = (struct direct_host){
            .quirks = direct_find_quirks(),
            .tlb_table = (int32_t)((char *)&CPU_TLB_FAST(v->cpu)[m].table - (char *)v->guest),
            .tlb_entries = (uint32_t)(CPU_TLB_FAST(v->cpu)[m].mask / sizeof(struct tlb_entry)) + 1,
            .tlb_shift = 6,
            .tlb_read = offsetof(struct tlb_entry, read),
            .tlb_write = offsetof(struct tlb_entry, write),
            .tlb_addend = offsetof(struct tlb_entry, addend),
            .next_block = (const void *)__wrap_helper_lookup_tb_ptr_x86_64,
            .flags = current_flags,
            .load = load,
            .store = store,
            .limit = at_limit,
            .judge = judge,
        };
    return VMK_OK;
}

void direct_destroy(struct vcpu *v)
{
    struct direct *d = v->direct;
    if (!d)
        return;
    for (unsigned n = 0; n < d->loops; n++)
        free_loop(d->loop[n]);
    if (d->code)
        munmap(d->code, CODE_BYTES + DATA_BYTES);
    free(d);
    v->direct = NULL;
}
