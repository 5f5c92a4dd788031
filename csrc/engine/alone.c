/* One instruction with the world stopped, where CPUs have threads.
 *
 * A LOCK-prefixed access that no host instruction does atomically (misaligned, or to a chip), and a store
 * into the page that the storing block lies in: both are executed again as a block of one instruction,
 * translated without host atomics, while all others are parked. The CPU holds the board lock from before it
 * stops the world until it lets it go on, at the next block start or when the instruction faults: chips that
 * the instruction reaches find the lock taken. */
#include "engine/alone.h"

#include "core/vcpu.h"
#include "core/vm.h"
#include "engine/engine.h"
#include "engine/private.h"

int __wrap_cpu_restore_state_x86_64(void *cpu, uintptr_t ra, int will_exit);

void alone_begin(struct vcpu *v, uintptr_t ra)
{
    __wrap_cpu_restore_state_x86_64(v->cpu, ra, 1);
    v->fault_restored = false;
    world_lock_board(v);
    world_stop(v->vm, v);
    v->alone = ALONE_NEXT;
    engine_kick(v); /* both block starts, this one and the next, come to the safe point */
    CPU_CFLAGS_NEXT_TB(v->cpu) = TB_ALONE;
    engine_resume_at(v);
}

bool alone_block_starts(struct vcpu *v)
{
    if (v->alone != ALONE_NEXT)
        return false;
    v->alone = ALONE_NOW;
    return true;
}

void alone_end(struct vcpu *v)
{
    if (!v->alone)
        return;
    v->alone = NOT_ALONE;
    world_start(v->vm, v);
    world_unlock_board(v);
}

/* The engine's way out of an atomic operation it cannot do; its own answer is to try for ever. */
void __wrap_cpu_loop_exit_atomic_x86_64(void *cpu, uintptr_t ra) __attribute__((noreturn));
void __wrap_cpu_loop_exit_atomic_x86_64(void *cpu, uintptr_t ra)
{
    alone_begin(UC_OWNER(CPU_UC(cpu)), ra);
}
