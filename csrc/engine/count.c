/* The exact count of retired instructions, and the block-start check that hangs on it.
 *
 * Every translated block begins with a call that the engine uses to look for exit requests. We give it two constants of our own: the
 * vCPU and the number of instructions of the block (patched in once the block is translated, translate.c). The check is one compare: the
 * block's instructions are added when it starts, and taken back when a fault leaves the block early. A block never starts at or past
 * `limit` without the safe point having run, so deadlines, turns and stops land at counts that two runs agree on. */
#include "engine/count.h"

#include "core/vcpu.h"
#include "cpu/cpu.h"
#include "engine/engine.h"
#include "engine/private.h"

void __wrap_helper_check_exit_request_x86_64(void *p, uint32_t instructions);
void __wrap_helper_check_exit_request_x86_64(void *p, uint32_t instructions)
{
    struct vcpu *v = p;
    if (__builtin_expect(v->icount >= __atomic_load_n(&v->limit, __ATOMIC_RELAXED), 0) && cpu_safe_point(v))
        engine_leave_block(v, CALLER);
    v->icount += instructions;
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

/* Which instruction of its block a host address belongs to. Behind a block's code the engine keeps, per instruction, three
 * differences in signed LEB128: guest pc, cc_op, end of its host code. */
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
        v->icount -= tb->icount - done;
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
