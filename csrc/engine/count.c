/* The exact count of retired instructions, and the block-start check that hangs on it.
 *
 * Every translated block begins with code of ours, in place of the engine's own exit check:
 *
 *     sub qword [env + left], instructions of the block
 *     js  slow                                             where slow, behind the block: call; jmp back
 *
 * A block may not start at or past the limit without the safe point having run. The subtraction goes below
 * zero in the last block before the limit too; the call tells the two apart and adds back what it has to, so
 * deadlines, turns and stops land at counts that two runs agree on. What a fault leaves undone is given back.
 *
 * The translator has no operation on memory. It is given a load, a compare with the number of instructions
 * and a branch, whose bytes are known, and these are then overwritten by the two instructions above. */
#include "engine/count.h"

#include <string.h>

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

static void *as_value(void *ctx, const void *temp)
{
    return (void *)((const char *)temp - (const char *)ctx);
}

static void set_label(void *ctx, void *label)
{
    *(uint32_t *)label |= LABEL_PRESENT;
    tcg_gen_op1_x86_64(ctx, TCG_SET_LABEL, (uint64_t)(uintptr_t)label);
}

void count_emit(struct count_code *c, void *ctx)
{
    void *left = tcg_temp_new_internal_x86_64(ctx, TCG_TYPE_I64, false);
    c->slow = gen_new_label_x86_64(ctx);
    c->back = gen_new_label_x86_64(ctx);
    tcg_gen_op3_x86_64(ctx, TCG_LD_I64, (uint64_t)(uintptr_t)left, arg(ctx, TCG_ENV(ctx)),
                       offsetof(struct guest, left));
    void *instructions = tcg_const_i64_x86_64(ctx, 1);
    c->constant = TCG_OPS(ctx)->prev->prev->next;
    tcg_gen_brcond_i64_x86_64(ctx, TCG_COND_LT, as_value(ctx, left), instructions, c->slow);
    set_label(ctx, c->back);
    tcg_temp_free_internal_x86_64(ctx, left);
}

void count_finish(struct count_code *c, void *ctx, unsigned instructions, void (*call)(void *),
                  void *closure)
{
    TCG_OP_ARG(c->constant, 1) = instructions;
    set_label(ctx, c->slow);
    call(closure);
    *(uint32_t *)c->back += LABEL_REFERENCE;
    tcg_gen_op1_x86_64(ctx, TCG_BR, (uint64_t)(uintptr_t)c->back);
}

/* What the translator made of it: mov reg, [rbp + left]; cmp reg, n; jl slow. */
enum { MOV_BYTES = 7, ARITH_IMM8 = 0x83, ARITH_IMM32 = 0x81, DS_PREFIX = 0x3e, REX_W = 0x48 };

bool count_rewrite(uint8_t *code)
{
    const uint32_t left = offsetof(struct guest, left);
    uint8_t *cmp = code + MOV_BYTES;
    unsigned immediate = cmp[1] == ARITH_IMM8 ? 1 : 4;
    uint8_t *jump = cmp + 3 + immediate;
    bool mov = (code[0] & 0xf8) == REX_W && code[1] == 0x8b && (code[2] & 0xc7) == 0x85 &&
               !memcmp(code + 3, &left, 4);
    bool compare = (cmp[0] & 0xf8) == REX_W && (cmp[1] == ARITH_IMM8 || cmp[1] == ARITH_IMM32) &&
                   (cmp[2] & 0xf8) == 0xf8;
    if (!mov || !compare || jump[0] != 0x0f || jump[1] != 0x8c)
        return false;
    uint8_t subtract[3 + 7] = {DS_PREFIX, DS_PREFIX, DS_PREFIX, REX_W, cmp[1], 0xad};
    memcpy(subtract + 6, &left, 4);
    memmove(code + sizeof(subtract), cmp + 3, immediate);
    memcpy(code, subtract, sizeof(subtract));
    jump[1] = 0x88; /* js */
    return true;
}

/* `left` went below zero. `block`: low half of the address of the block's description, which lies before its
 * code. */
void __wrap_helper_check_exit_request_x86_64(void *p, uint32_t block)
{
    struct vcpu *v = p;
    struct guest *g = v->guest;
    struct tb *tb = (struct tb *)(CALLER - (uint32_t)((uint32_t)CALLER - block));
    unsigned instructions = tb->icount;
    g->left += instructions;
    if (g->left <= 0 && !direct_sample(v, tb) && cpu_safe_point(v))
        engine_leave_block(v, CALLER);
    g->left -= instructions;
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
        v->guest->left += tb->icount - done;
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
