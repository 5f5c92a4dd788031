/* The exact count of retired instructions, and the block-start check that hangs on it.
 *
 * Every translated block begins with code of ours, in place of the engine's own exit check: compare the count
 * with the limit, call the safe point if it is reached, add the block's instructions (a constant patched in
 * once the block is translated, translate.c). What a fault leaves undone is taken back. A block never starts
 * at or past the limit without the safe point having run, so deadlines, turns and stops land at counts that
 * two runs agree on. */
#include "engine/count.h"

#include "core/vcpu.h"
#include "cpu/cpu.h"
#include "engine/direct.h"
#include "engine/engine.h"
#include "engine/helpers.h"
#include "engine/private.h"

/* The translator hands values around as offsets from its context; operations take pointers. */
static uint64_t arg(void *ctx, const void *value)
{
    return (uint64_t)(uintptr_t)ctx + (uint64_t)(uintptr_t)value;
}

static void load(void *ctx, void *to, size_t field)
{
    tcg_gen_op3_x86_64(ctx, TCG_LD_I64, (uint64_t)(uintptr_t)to, arg(ctx, TCG_ENV(ctx)), field);
}

static void *as_value(void *ctx, const void *temp)
{
    return (void *)((const char *)temp - (const char *)ctx);
}

void *count_emit(void *ctx, void (*call_safe_point)(void *), void *closure)
{
    void *count = tcg_temp_new_internal_x86_64(ctx, TCG_TYPE_I64, false);
    void *limit = tcg_temp_new_internal_x86_64(ctx, TCG_TYPE_I64, false);
    void *go_on = gen_new_label_x86_64(ctx);
    load(ctx, count, offsetof(struct guest, icount));
    load(ctx, limit, offsetof(struct guest, limit));
    tcg_gen_brcond_i64_x86_64(ctx, TCG_COND_LTU, as_value(ctx, count), as_value(ctx, limit), go_on);
    call_safe_point(closure);
    *(uint32_t *)go_on |= 1; /* present */
    tcg_gen_op1_x86_64(ctx, TCG_SET_LABEL, (uint64_t)(uintptr_t)go_on);
    load(ctx, count, offsetof(struct guest, icount));
    void *instructions = tcg_const_i64_x86_64(ctx, 0);
    void *patch = TCG_OPS(ctx)->prev->prev->next;
    tcg_gen_op3_x86_64(ctx, TCG_ADD_I64, (uint64_t)(uintptr_t)count, (uint64_t)(uintptr_t)count,
                       arg(ctx, instructions));
    tcg_gen_op3_x86_64(ctx, TCG_ST_I64, (uint64_t)(uintptr_t)count, arg(ctx, TCG_ENV(ctx)),
                       offsetof(struct guest, icount));
    tcg_temp_free_internal_x86_64(ctx, limit);
    tcg_temp_free_internal_x86_64(ctx, count);
    return patch;
}

/* The limit is reached. `block`: low half of the address of the block's description, which lies near its code.
 */
void __wrap_helper_check_exit_request_x86_64(void *p, uint32_t block)
{
    struct vcpu *v = p;
    uintptr_t near = CALLER;
    if (!direct_sample(v, (struct tb *)(near - (uint32_t)((uint32_t)near - block))) && cpu_safe_point(v))
        engine_leave_block(v, CALLER);
}

static int64_t read_sleb128(const uint8_t **p)
{
    int64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*p)++;
        value |= (int64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (shift < 64 && byte & 0x40)
        value |= -((int64_t)1 << shift);
    return value;
}

/* Which instruction of its block a host address belongs to. Behind a block's code the engine keeps, per
 * instruction, three differences in signed LEB128: guest pc, cc_op, end of its host code. */
static unsigned instruction_at(const struct tb *tb, uintptr_t ra)
{
    const uint8_t *p = (const uint8_t *)tb->code + tb->code_size;
    uintptr_t end = (uintptr_t)tb->code;
    for (unsigned i = 0; i < tb->icount; i++) {
        read_sleb128(&p);
        read_sleb128(&p);
        end += (uintptr_t)read_sleb128(&p);
        if (end > ra - 2) /* a return address is behind its call */
            return i;
    }
    return tb->icount;
}

void count_take_back(struct vcpu *v, uintptr_t ra, unsigned keep)
{
    const struct tb *tb = tcg_tb_lookup_x86_64(v->tcg, ra);
    if (!tb)
        return;
    unsigned done = instruction_at(tb, ra) + keep;
    if (done < tb->icount)
        v->guest->icount -= tb->icount - done;
}

/* A fault leaves a block: its registers are restored from the faulting point. */
int __real_cpu_restore_state_x86_64(void *cpu, uintptr_t ra, int will_exit);
int __wrap_cpu_restore_state_x86_64(void *cpu, uintptr_t ra, int will_exit);
int __wrap_cpu_restore_state_x86_64(void *cpu, uintptr_t ra, int will_exit)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    int found = __real_cpu_restore_state_x86_64(cpu, ra, will_exit);
    if ((found & 0xff) && will_exit) {
        v->fault_restored = true;
        count_take_back(v, ra, 0);
    }
    return found;
}

/* A store changed the block it is in: the engine restarts at the storing instruction. */
void __real_cpu_loop_exit_noexc_x86_64(void *cpu) __attribute__((noreturn));
void __wrap_cpu_loop_exit_noexc_x86_64(void *cpu) __attribute__((noreturn));
void __wrap_cpu_loop_exit_noexc_x86_64(void *cpu)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    count_take_back(v, v->smc_caller, 0);
    __real_cpu_loop_exit_noexc_x86_64(cpu);
}
