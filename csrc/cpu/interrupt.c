/* Safe points, interrupts, exceptions, and the instructions that wait.
 *
 * A safe point runs at a block start, at an instruction count two runs agree on: due devices and inbox
 * messages are served, the run loop's conditions are checked, and an interrupt that can be taken makes the
 * block give way. The engine's own window rules (IF, the shadow after STI and MOV SS) decide when: nothing is
 * polled while IF is clear. */
#include <string.h>

#include "core/vm.h"
#include "cpu/cost.h"
#include "cpu/cpu.h"
#include "engine/engine.h"
#include "io/irq.h"

#define ERROR_EXT 1
#define ERROR_IDT 2
#define REAL_TIME_POLL 20000 /* instructions between looks at the host's clock: about 10 us */
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

/* Where the next safe point must be. It is never far, because other threads (a stop, a message) only leave a
 * flag: `left` belongs to generated code, which would overwrite what they put there. */
void cpu_set_limit(struct vcpu *v)
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

bool cpu_safe_point(struct vcpu *v)
{
    struct vm *vm = v->vm;
    struct board *b = v->board;
    v->stats.safe_points++;
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
    board_trace(v->board, VMK_TRACE_INTERRUPT, v->id, v->guest->rip, (uint64_t)vector, 0);
    engine_interrupt(v, vector);
    engine_want_interrupt(v, v->nmi_pending || irq_pending(v->board, v->id));
    return true;
}

bool cpu_take_interrupt(struct vcpu *v)
{
    if (nmi_ready(v)) {
        v->nmi_pending = false;
        v->guest->hflags2 |= HF2_NMI;
        v->stats.nmi++;
        return deliver(v, EXC_NMI);
    }
    if (!window_open(v))
        return false;
    int vector = irq_pending(v->board, v->id) ? irq_ack(v->board, v->id) : -1;
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
    v->stats.monitor_entries++;
    if (vector < 32)
        v->stats.exception[vector]++;
    else
        v->stats.trap[SBE_CLASS_INT]++; /* only an instruction goes there */
    board_trace(v->board, VMK_TRACE_EXCEPTION, v->id, g->rip, vector,
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

void cpu_pause(struct vcpu *v, unsigned length, uintptr_t ra)
{
    (void)ra;
    v->stats.trap[SBE_CLASS_PAUSE]++;
    v->guest->rip += length;
    clock_charge(&v->board->clock, COST_PAUSE);
    if (v->vm->cpus > 1)
        v->turn_end = guest_icount(v->guest);
    cpu_set_limit(v);
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
