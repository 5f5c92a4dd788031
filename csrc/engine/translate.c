/* Scan before execution at the engine's fetch.
 *
 * When the engine is about to translate a block, its bytes are scanned (sbe/) and the translator then reads
 * code through the functions here: bytes inside a patch come from the scan, all others from guest memory,
 * which is never changed. The instruction that the translator finds in a patch is one of two whose helper
 * call we recognise, and whose argument we replace by the site's number: at run time a trap arrives in C
 * knowing its site, with nothing looked up. Blocks also get their instruction count here (count.c). Leaves
 * out: what is sensitive and what replaces it (sbe/), what a trap does (cpu/trap.c). */
#include <string.h>

#include "core/vcpu.h"
#include "core/vm.h"
#include "engine/code_pages.h"
#include "engine/count.h"
#include "engine/engine.h"
#include "engine/helpers.h"
#include "engine/jump.h"
#include "engine/private.h"
#include "engine/sse_emit.h"
#include "engine/strings.h"
#include "engine/walk.h"
#include "mem/ram.h"

#define PAGE_MASK (~(PAGE_SIZE - 1))

void __real_gen_intermediate_code_x86_64(void *cpu, struct tb *tb, int max_insns);
void __wrap_gen_intermediate_code_x86_64(void *cpu, struct tb *tb, int max_insns);
int __real_tcg_gen_code_x86_64(void *ctx, struct tb *tb);
int __wrap_tcg_gen_code_x86_64(void *ctx, struct tb *tb);
void __wrap_tcg_gen_callN_x86_64(void *ctx, void *func, void *ret, int nargs, void **args);

static enum sbe_mode block_mode(uint32_t flags)
{
    if (flags & FLAG_VM)
        return SBE_MODE_VM86;
    return flags & HF_CS64 ? SBE_MODE_64 : flags & HF_CS32 ? SBE_MODE_32 : SBE_MODE_16;
}

static unsigned instructions_begun(const struct vcpu *v)
{
    unsigned n = 0;
    for (void *op = TCG_OPS(v->tcg)->next; op; op = TCG_OP_NEXT(op))
        n += TCG_OP_CODE(op) == TCG_INSN_START;
    return n;
}

/* A block runs into a page that cannot be fetched. The fault belongs to the instruction that needs the page
 * and those before it come first: translate again, up to that one. Where it is the block's first, the fetch
 * may fault. */
static void stop_before(struct vcpu *v, uint64_t page)
{
    struct walk w;
    int mode = guest_cpl(v->guest) == 3 ? MMU_USER : MMU_KERNEL;
    unsigned begun = v->translating ? instructions_begun(v) : 0;
    if (begun < 2 ||
        (walk_pages(v, page, ACCESS_FETCH, mode, &w) && ram_read_offset(v->board, w.gpa) != RAM_NOT_MEMORY))
        return;
    v->translating = false;
    CPU_CFLAGS_NEXT_TB(v->cpu) = begun - 1;
    engine_resume_at(v);
}

/* Once marked, no other vCPU changes the page without dropping its blocks. A translation that was parked
 * starts again: bytes it has read may have changed before its block was there to be dropped. */
static void mark_before_reading(struct vcpu *v, const uint8_t *host)
{
    code_mark(v, (uint64_t)(host - v->board->ram.host) >> PAGE_SHIFT);
    if (v->parks == v->block_parks)
        return;
    v->translating = false;
    engine_resume_at(v);
}

/* The byte at a linear address of the block, through the two pages a block may touch. May raise the guest's
 * #PF, as the translator's own fetch of that byte would. */
static const uint8_t *code_at(struct vcpu *v, uint64_t va)
{
    unsigned n = v->code_host[0] && (va & PAGE_MASK) != v->code_page[0];
    if (!v->code_host[n] || (va & PAGE_MASK) != v->code_page[n]) {
        void *host = NULL;
        if (n)
            stop_before(v, va & PAGE_MASK);
        get_page_addr_code_hostp_x86_64(v->guest, va & PAGE_MASK, &host);
        if (v->parallel)
            mark_before_reading(v, host);
        v->code_page[n] = va & PAGE_MASK;
        v->code_host[n] = host;
    }
    return v->code_host[n] + (va & ~PAGE_MASK);
}

/* The safe point runs before the block being translated does, and looks at more than the limit. */
static void look_before_block(struct vcpu *v)
{
    atomic_fetch_or(&v->request, REQ_INTERRUPT);
    engine_kick(v);
}

/* The scanner failed (no memory, too many sites): nothing may execute unscanned, so the run ends before this
 * block does anything. */
static void give_up(struct vcpu *v)
{
    v->scan.n = 0;
    v->scan.end = UINT64_MAX;
    v->vm->sbe_failed = true;
    look_before_block(v);
}

static void lock_scanner(struct vcpu *v)
{
    if (v->parallel)
        pthread_mutex_lock(&v->vm->scan_lock);
}

static void unlock_scanner(struct vcpu *v)
{
    if (v->parallel)
        pthread_mutex_unlock(&v->vm->scan_lock);
}

/* Scan on, so that `va` is settled. An instruction that crosses into the second page is scanned from a copy
 * of both parts. */
static void scan_on(struct vcpu *v, uint64_t va)
{
    struct sbe_scan *s = &v->scan;
    uint8_t both[SBE_MAX_INSN * 2 + PAGE_SIZE];
    uint64_t room = PAGE_SIZE - (s->resume & ~PAGE_MASK);
    const uint8_t *from = code_at(v, s->resume);
    uint64_t before = s->end;
    if (va - s->resume >= room || s->truncated) {
        const uint8_t *second = code_at(v, (s->resume & PAGE_MASK) + PAGE_SIZE);
        if (room <= SBE_MAX_INSN * 2) {
            memcpy(both, from, room);
            memcpy(both + room, second, PAGE_SIZE);
            from = both;
            room += PAGE_SIZE;
        }
    }
    lock_scanner(v);
    int rc = sbe_scan_more(v->vm->sbe, from, room, s);
    unlock_scanner(v);
    if (rc < 0)
        give_up(v);
    else if (s->end <= va && s->end == before)
        s->end = va + 1; /* undecodable: the engine raises #UD there from the original bytes */
}

static void settle(struct vcpu *v, uint64_t va)
{
    for (unsigned tries = 0; va >= v->scan.end && tries < 8192; tries++)
        scan_on(v, va);
}

static const struct sbe_patch *patch_at(struct vcpu *v, uint64_t va)
{
    const struct sbe_scan *s = &v->scan;
    while (v->next_patch && s->patch[v->next_patch - 1].pc + s->patch[v->next_patch - 1].len > va)
        v->next_patch--;
    while (v->next_patch < s->n && s->patch[v->next_patch].pc + s->patch[v->next_patch].len <= va)
        v->next_patch++;
    return v->next_patch < s->n && s->patch[v->next_patch].pc <= va ? &s->patch[v->next_patch] : NULL;
}

static uint8_t fetch_byte(struct vcpu *v, uint64_t va)
{
    settle(v, va);
    const struct sbe_patch *p = patch_at(v, va);
    if (!p)
        return *code_at(v, va);
    if (p->pc == va)
        v->patch = p;
    return p->bytes[va - p->pc];
}

static uint64_t fetch(struct vcpu *v, uint64_t va, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)fetch_byte(v, va + i) << (8 * i);
    return value;
}

#define FETCH(name, type, size)                                      \
    type __real_##name(struct guest *env, uint64_t va);              \
    type __wrap_##name(struct guest *env, uint64_t va);              \
    type __wrap_##name(struct guest *env, uint64_t va)               \
    {                                                                \
        struct vcpu *v = UC_OWNER(env->uc);                          \
        return v->translating ? (type)fetch(v, va, size) : __real_##name(env, va); \
    }
FETCH(cpu_ldub_code_x86_64, uint32_t, 1)
FETCH(cpu_lduw_code_x86_64, uint32_t, 2)
FETCH(cpu_ldl_code_x86_64, uint32_t, 4)
FETCH(cpu_ldq_code_x86_64, uint64_t, 8)

/* The guest has let the monitor fill this page (cpu/vmi.h). */
static bool on_call_page(struct vcpu *v)
{
    uint64_t at = v->vmi_page ? ram_read_offset(v->board, v->vmi_page & PAGE_MASK) : RAM_NOT_MEMORY;
    return at != RAM_NOT_MEMORY && v->code_host[0] == v->board->ram.host + at;
}

static void begin_block(struct vcpu *v, const struct tb *tb)
{
    uint64_t room = PAGE_SIZE - (tb->pc & ~PAGE_MASK);
    v->code_host[0] = v->code_host[1] = NULL;
    v->patch = NULL;
    v->next_patch = 0;
    v->stats.blocks++;
    v->block_parks = v->parks;
    const uint8_t *code = code_at(v, tb->pc);
    v->scan.adaptive = on_call_page(v);
    lock_scanner(v);
    int rc =
        sbe_scan(v->vm->sbe, block_mode(tb->flags), tb->flags & HF_CPL, tb->pc, code, room, &v->scan);
    unlock_scanner(v);
    if (rc < 0)
        give_up(v);
}

/* Constants come back as offsets from the translator's context; calls take pointers to temporaries. */
static void *constant32(void *ctx, uint32_t value)
{
    return (char *)ctx + (uintptr_t)tcg_const_i32_x86_64(ctx, (int32_t)value);
}

/* The engine's own check call, now made only near the limit. */
struct check_call {
    void *ctx;
    struct vcpu *v;
};

static void call_safe_point(void *closure)
{
    const struct check_call *c = closure;
    void *args[2] = {(char *)c->ctx + (uintptr_t)tcg_const_i64_x86_64(c->ctx, (int64_t)(uintptr_t)c->v),
                     constant32(c->ctx, (uint32_t)(uintptr_t)c->v->block)};
    __real_tcg_gen_callN_x86_64(c->ctx, (void *)__wrap_helper_check_exit_request_x86_64, NULL, 2, args);
}

void __wrap_gen_intermediate_code_x86_64(void *cpu, struct tb *tb, int max_insns)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    jump_note_translation(v);
    begin_block(v, tb);
    v->translating = true;
    v->count.slow = NULL;
    v->block = tb;
    uint32_t flags = tb->cflags;
    if (v->parallel && (flags & TB_ALONE) != TB_ALONE)
        tb->cflags = TCG_TB_CFLAGS(v->tcg) = flags | TB_PARALLEL;
    __real_gen_intermediate_code_x86_64(cpu, tb, max_insns);
    tb->cflags = TCG_TB_CFLAGS(v->tcg) = flags;
    v->translating = false;
    struct check_call call = {v->tcg, v};
    if (v->count.slow)
        count_finish(&v->count, v->tcg, tb->icount, call_safe_point, &call);
}

int __wrap_tcg_gen_code_x86_64(void *ctx, struct tb *tb)
{
    struct vcpu *v = UC_OWNER(TCG_UC(ctx));
    int size = __real_tcg_gen_code_x86_64(ctx, tb);
    if (size > 0 && (!v->count.slow || !count_rewrite(tb->code))) {
        v->vm->count_failed = true; /* nothing may run uncounted: the block has a check, so it ends here */
        look_before_block(v);
    }
    return size;
}

static bool is_trap_helper(const void *func)
{
    return func == (void *)__wrap_helper_outb_x86_64 || func == (void *)__wrap_helper_syscall_x86_64 ||
           func == (void *)__wrap_helper_hlt_x86_64 || func == (void *)__wrap_helper_iret_protected_x86_64;
}

void __wrap_tcg_gen_callN_x86_64(void *ctx, void *func, void *ret, int nargs, void **args)
{
    struct vcpu *v = UC_OWNER(TCG_UC(ctx));
    if (func == (void *)__wrap_helper_check_exit_request_x86_64) {
        count_emit(&v->count, ctx);
        strings_emit(ctx, v->block, v->code_host[0] + (v->block->pc & ~PAGE_MASK),
                     PAGE_SIZE - (v->block->pc & ~PAGE_MASK));
        return;
    }
    if (v->patch && is_trap_helper(func)) {
        args[1] = constant32(ctx, v->patch->site | TRAP_TAG);
        v->patch = NULL;
    }
    __real_tcg_gen_callN_x86_64(ctx, func, ret, nargs, args);
    sse_emitted(ctx, func, (unsigned)nargs + !!ret);
}

/* Leaving for the engine's main loop is how the engine ends blocks behind instructions that may have changed
 * the mode or opened the interrupt window. Its look-up for indirect jumps serves as well, several times as
 * fast: ours takes the new mode from the guest's state, and goes to the main loop where an interrupt
 * waits. */
void __real_tcg_gen_exit_tb_x86_64(void *ctx, const struct tb *tb, unsigned slot);
void __wrap_tcg_gen_exit_tb_x86_64(void *ctx, const struct tb *tb, unsigned slot);
void __wrap_tcg_gen_exit_tb_x86_64(void *ctx, const struct tb *tb, unsigned slot)
{
    struct vcpu *v = UC_OWNER(TCG_UC(ctx));
    if (tb || !v->translating)
        __real_tcg_gen_exit_tb_x86_64(ctx, tb, slot);
    else
        tcg_gen_lookup_and_goto_ptr_x86_64(ctx);
}
