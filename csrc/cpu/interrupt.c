/* Safe points, interrupts, exceptions, and the instructions that wait.
 *
 * A safe point runs at a block start, at an instruction count two runs agree on: due devices and inbox
 * messages are served, the run loop's conditions are checked, and an interrupt that can be taken makes the
 * block give way. The engine's own window rules (IF, the shadow after STI and MOV SS) decide when: nothing is
 * polled while IF is clear. */
#include <sched.h>
#include <string.h>

#include "core/vm.h"
#include "cpu/cost.h"
#include "cpu/cpu.h"
#include "engine/alone.h"
#include "engine/engine.h"
#include "io/irq.h"

#define ERROR_EXT 1
#define ERROR_IDT 2
#define REAL_TIME_POLL 20000 /* instructions between looks at the host's clock: about 10 us */
#define PAUSES_PER_YIELD 64  /* 2 us of them */
#define FLAG_POLL 4000       /* the same where vCPUs stop each other: a microsecond or two */
#define NEWS_POLL 200000     /* instructions between looks at what other threads want: about 100 us */

static uint64_t instructions_until(struct vcpu *v, uint64_t time)
{
    uint64_t now = board_now(v->board);
    if (v->board->clock.mode == CLOCK_REAL)
        return REAL_TIME_POLL;
    return time > now ? time - now : 0;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool is_wanted(struct vcpu *v)
{
    return atomic_load(&v->request) || atomic_load(&v->vm->world.stopped);
}

void cpu_poll(struct vcpu *v)
{
    if (is_wanted(v))
        engine_kick(v);
}

/* Time is watched by the caller of vm_run, and what others want is a flag: here it is only how often to look.
 * Doing so is a call and two loads. */
static void set_limit_parallel(struct vcpu *v)
{
    struct vm *vm = v->vm;
    uint64_t icount = guest_icount(v->guest), left = FLAG_POLL, until = vm->run.until_instructions;
    if (until != UINT64_MAX) {
        uint64_t done = vm_instructions(vm);
        left = sooner(until > done ? until - done : 0, left);
    }
    guest_set_limit(v->guest, icount + (is_wanted(v) ? 0 : left));
}

/* Where the next safe point must be. It is never far, because other threads (a stop, a message) only leave a
 * flag: `left` belongs to generated code, which would overwrite what they put there. */
static void set_limit_turns(struct vcpu *v)
{
    struct vm *vm = v->vm;
    uint64_t time = sooner(sooner(v->board->deadline, vm->run.until_time), vm_quiet_deadline(vm));
    uint64_t icount = guest_icount(v->guest);
    uint64_t limit = icount + sooner(instructions_until(v, time), NEWS_POLL);
    if (vm->run.until_instructions != UINT64_MAX) {
        uint64_t done = vm_instructions(vm);
        uint64_t more = vm->run.until_instructions > done ? vm->run.until_instructions - done : 0;
        limit = sooner(limit, icount + more);
    }
    limit = sooner(limit, v->turn_end);
    if (atomic_load(&v->request) || atomic_load(&vm->stop) || atomic_load(&v->board->inbox.news))
        limit = icount;
    engine_set_limit(v, limit);
}

void cpu_set_limit(struct vcpu *v)
{
    if (v->parallel)
        set_limit_parallel(v);
    else
        set_limit_turns(v);
}

static bool nmi_ready(struct vcpu *v)
{
    return v->nmi_pending && !(v->guest->hflags2 & HF2_NMI);
}

static bool window_open(struct vcpu *v)
{
    return v->guest->rflags & FLAG_IF && !(v->guest->hflags & HF_INHIBIT);
}

bool cpu_wakes(struct vcpu *v)
{
    return v->nmi_pending || atomic_load(&v->request) & (REQ_INIT | REQ_SIPI) ||
           (v->guest->rflags & FLAG_IF && irq_pending(v->board, v->id));
}

/* What others asked of this vCPU. True when the turn must end for it. */
static bool serve_requests(struct vcpu *v)
{
    unsigned req = atomic_fetch_and(&v->request, ~(unsigned)(REQ_INTERRUPT | REQ_NMI | REQ_TURN));
    if (req & REQ_NMI)
        v->nmi_pending = true;
    return req & (REQ_INIT | REQ_TURN);
}

/* Under the board lock. */
static bool look_around(struct vcpu *v)
{
    struct vm *vm = v->vm;
    bool turn_over = serve_requests(v);
    atomic_store(&v->retired, guest_icount(v->guest));
    if (vm_should_stop(vm))
        threads_end_run(vm);
    if (vm->threads.ending || turn_over) {
        engine_stop(v);
        return true;
    }
    bool pending = irq_pending(v->board, v->id);
    engine_want_interrupt(v, pending || v->nmi_pending);
    cpu_set_limit(v);
    return (pending && window_open(v)) || nmi_ready(v);
}

/* Whoever has parked leaves the block: it may have been dropped. */
static bool safe_point_parallel(struct vcpu *v)
{
    unsigned parks = v->parks;
    if (alone_block_starts(v))
        return false;
    alone_end(v);
    if (!is_wanted(v) && v->vm->run.until_instructions == UINT64_MAX) {
        set_limit_parallel(v);
        return false;
    }
    if (atomic_load(&v->vm->world.stopped)) {
        world_leave(v);
        world_enter(v);
    }
    vm_lock(v);
    bool leave = look_around(v);
    vm_unlock(v);
    return leave || v->parks != parks;
}

bool cpu_safe_point(struct vcpu *v)
{
    struct vm *vm = v->vm;
    struct board *b = v->board;
    v->stats.safe_points++;
    if (v->parallel)
        return safe_point_parallel(v);
    bool turn_over = serve_requests(v) || guest_icount(v->guest) >= v->turn_end;
    if (b->deadline <= board_now(b) || atomic_load(&b->inbox.news))
        board_run_due(b);
    if (vm_should_stop(vm) || turn_over) {
        engine_stop(v);
        return true;
    }
    bool pending = irq_pending(b, v->id);
    engine_want_interrupt(v, pending || v->nmi_pending);
    cpu_set_limit(v);
    return (pending && window_open(v)) || nmi_ready(v);
}

static bool deliver(struct vcpu *v, int vector)
{
    v->stats.monitor_entries++;
    board_trace_to(v->trace, v->board, VMK_TRACE_INTERRUPT, v->id, v->guest->rip, (uint64_t)vector, 0);
    engine_interrupt(v, vector);
    vm_lock(v);
    engine_want_interrupt(v, v->nmi_pending || irq_pending(v->board, v->id));
    vm_unlock(v);
    return true;
}

bool cpu_take_interrupt(struct vcpu *v)
{
    if (v->alone)
        return false;
    if (nmi_ready(v)) {
        v->nmi_pending = false;
        v->guest->hflags2 |= HF2_NMI;
        v->stats.nmi++;
        return deliver(v, EXC_NMI);
    }
    if (!window_open(v))
        return false;
    vm_lock(v);
    int vector = irq_pending(v->board, v->id) ? irq_ack(v->board, v->id) : -1;
    vm_unlock(v);
    if (vector < 0) {
        engine_want_interrupt(v, v->nmi_pending);
        return false;
    }
    v->stats.interrupt[vector & 0xff]++;
    return deliver(v, vector & 0xff);
}

/* A fault met while an earlier event was delivered: the engine counts long-mode gates as 16 bytes and leaves
 * EXT out. */
static void correct_error_code(struct vcpu *v, unsigned vector)
{
    struct guest *g = v->guest;
    if (!v->delivering || vector < EXC_TS || vector > EXC_GP)
        return;
    if (g->error_code & ERROR_IDT && g->hflags & HF_LMA)
        g->error_code = (g->error_code >> 4 << 3) | ERROR_IDT;
    if (v->delivering == DELIVERING_EVENT)
        g->error_code |= ERROR_EXT;
}

void cpu_exception(struct vcpu *v, unsigned vector)
{
    struct guest *g = v->guest;
    correct_error_code(v, vector);
    if (v->parallel)
        cpu_poll(v);
    v->stats.monitor_entries++;
    if (vector < 32)
        v->stats.exception[vector]++;
    else
        v->stats.trap[SBE_CLASS_INT]++; /* only an instruction goes there */
    board_trace_to(v->trace, v->board, VMK_TRACE_EXCEPTION, v->id, g->rip, vector,
              vector == EXC_PF ? (uint64_t)(uint32_t)g->error_code | g->cr[2] << 32
                               : (uint64_t)(uint32_t)g->error_code);
}

/* The engine has synchronised rip and flags before these helpers; they must not return to the block. */
void cpu_hlt(struct vcpu *v, unsigned length, uintptr_t ra)
{
    (void)ra;
    v->stats.trap[SBE_CLASS_HALT]++;
    v->guest->rip += length;
    if (v->guest->rflags & FLAG_TF)
        engine_single_step(v);
    engine_halt(v);
}

/* Whoever this CPU spins for may need this host CPU. */
static void pause_thread(struct vcpu *v)
{
    if (++v->pauses % PAUSES_PER_YIELD == 0)
        sched_yield();
    cpu_poll(v);
}

static void pause_turn(struct vcpu *v)
{
    if (v->vm->cpus > 1)
        v->turn_end = guest_icount(v->guest);
    cpu_set_limit(v);
}

void cpu_pause(struct vcpu *v, unsigned length, uintptr_t ra)
{
    (void)ra;
    v->stats.trap[SBE_CLASS_PAUSE]++;
    v->guest->rip += length;
    clock_charge(&v->board->clock, COST_PAUSE);
    if (v->parallel)
        pause_thread(v);
    else
        pause_turn(v);
    v->guest->hflags &= ~(uint32_t)HF_INHIBIT;
    if (v->guest->rflags & FLAG_TF)
        engine_single_step(v);
    engine_resume_at(v);
}

/* No CPU model offers MONITOR, so both are undefined whatever the engine's own tables say. */
void cpu_mwait(struct vcpu *v, unsigned length, uintptr_t ra)
{
    (void)length;
    engine_raise(v, EXC_UD, 0, ra);
}

void cpu_monitor(struct vcpu *v, uint64_t address, uintptr_t ra)
{
    (void)address;
    engine_raise(v, EXC_UD, 0, ra);
}
