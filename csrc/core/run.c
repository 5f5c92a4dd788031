/* Runs of a VM: what ends one, and the loop that gives vCPUs turns on the caller's thread.
 *
 * Owns the round robin, idle time, INIT and SIPI (served on the target's own turn), and what ends a run.
 * Leaves out threads (core/threads.c), what happens inside a turn (cpu/interrupt.c) and every policy about
 * what to do when a run ends, which is Python's. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/vm.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "engine/engine.h"

#define QUIET_NS 1000000ull  /* part of a line is shown to Python when nothing followed for this long */
#define WAIT_NS 50000000ull  /* an idle VM in real time looks for vm_stop this often */

static bool stop_for(struct vm *vm, enum vmk_exit_reason reason)
{
    vm->exit->reason = reason;
    vm->exit->request = vm->board->request;
    vm->exit->value = vm->board->request_value;
    vm->exit->cpu = vm_caller(vm) ? vm_caller(vm)->id : 0;
    return true;
}

uint64_t vm_quiet_deadline(const struct vm *vm)
{
    uint64_t first = UINT64_MAX;
    for (unsigned ch = 0; ch < VMK_CHANNELS; ch++) {
        const struct output *o = &vm->board->out[ch];
        if (vm->run.watch_output >> ch & 1 && o->len && o->last_time + QUIET_NS < first)
            first = o->last_time + QUIET_NS;
    }
    return first;
}

void vm_end_run(struct vm *vm, enum vmk_exit_reason reason)
{
    if (!vm->exit->reason)
        stop_for(vm, reason);
}

bool vm_output_ready(struct vm *vm, bool idle)
{
    for (unsigned ch = 0; ch < VMK_CHANNELS; ch++) {
        const struct output *o = &vm->board->out[ch];
        if (vm->run.watch_output >> ch & 1 && o->len && (o->line || idle))
            return true;
    }
    return board_now(vm->board) >= vm_quiet_deadline(vm);
}

bool vm_should_stop(struct vm *vm)
{
    if (vm->exit->reason)
        return true;
    if (vm->sbe_failed) {
        snprintf(vm->error, sizeof(vm->error), "scan before execution: %s", sbe_error(vm->sbe));
        return stop_for(vm, VMK_EXIT_ERROR);
    }
    if (vm->count_failed) {
        snprintf(vm->error, sizeof(vm->error), "the engine began a block in a way this build does not know");
        return stop_for(vm, VMK_EXIT_ERROR);
    }
    if (vm->board->request)
        return stop_for(vm, VMK_EXIT_REQUEST);
    if (vm_output_ready(vm, false))
        return stop_for(vm, VMK_EXIT_OUTPUT);
    if (vm->run.watch_frames & atomic_load(&vm->board->frames_out))
        return stop_for(vm, VMK_EXIT_FRAME);
    if (atomic_exchange(&vm->stop, false))
        return stop_for(vm, VMK_EXIT_STOPPED);
    if (vm->run.until_instructions != UINT64_MAX && vm_instructions(vm) >= vm->run.until_instructions)
        return stop_for(vm, VMK_EXIT_INSTRUCTIONS);
    if (board_now(vm->board) >= vm->run.until_time)
        return stop_for(vm, VMK_EXIT_TIME);
    return false;
}

/* INIT and SIPI, on the target's own turn. */
static void serve_init(struct vcpu *v)
{
    unsigned req = atomic_load(&v->request);
    if (req & REQ_INIT) {
        uint64_t xcr0 = v->guest->xcr0;
        atomic_fetch_and(&v->request, ~(unsigned)REQ_INIT);
        engine_reset(v);
        cpuid_apply(v);
        v->guest->xcr0 = xcr0;
        v->nmi_pending = false;
        v->state = v->id ? VCPU_WAIT_SIPI : VCPU_RUNNING;
    }
    if (req & REQ_SIPI) {
        atomic_fetch_and(&v->request, ~(unsigned)REQ_SIPI);
        if (v->state != VCPU_WAIT_SIPI)
            return;
        boot_startup_ipi(v);
        v->state = VCPU_RUNNING;
    }
}

bool vm_runnable(struct vcpu *v)
{
    unsigned req = atomic_load(&v->request);
    if (req & REQ_NMI) {
        atomic_fetch_and(&v->request, ~(unsigned)REQ_NMI);
        v->nmi_pending = true;
    }
    if (req & (REQ_INIT | REQ_SIPI))
        serve_init(v);
    if (v->state == VCPU_HALTED && cpu_wakes(v))
        v->state = VCPU_RUNNING;
    return v->state == VCPU_RUNNING;
}

static struct vcpu *next_runnable(struct vm *vm)
{
    for (unsigned i = 0; i < vm->cpus; i++) {
        unsigned id = (vm->next + i) % vm->cpus;
        if (vm_runnable(vm->vcpu[id])) {
            vm->next = (id + 1) % vm->cpus;
            return vm->vcpu[id];
        }
    }
    return NULL;
}

static void take_turn(struct vm *vm, struct vcpu *v)
{
    vm->current = v;
    clock_attach(&vm->board->clock, &v->guest->limit, &v->guest->left);
    if (!v->turn_kept)
        v->turn_end = vm->cpus > 1 ? guest_icount(v->guest) + vm->quantum : UINT64_MAX;
    atomic_fetch_and(&v->request, ~(unsigned)(REQ_INTERRUPT | REQ_TURN));
    engine_want_interrupt(v, v->nmi_pending || irq_pending(vm->board, v->id));
    cpu_set_limit(v);
    enum engine_exit e = engine_run(v, vm->error, sizeof(vm->error));
    clock_attach(&vm->board->clock, NULL, NULL);
    if (e == ENGINE_HALTED)
        v->state = VCPU_HALTED;
    else if (e == ENGINE_TRIPLE_FAULT)
        stop_for(vm, VMK_EXIT_TRIPLE_FAULT);
    else if (e == ENGINE_FAILED)
        stop_for(vm, VMK_EXIT_ERROR);
    /* A run that ends in the middle of a turn goes on with the rest of it: where runs are cut must not change
     * who runs when. */
    v->turn_kept = vm->exit->reason && v->state == VCPU_RUNNING && guest_icount(v->guest) < v->turn_end;
    if (v->turn_kept)
        vm->next = v->id;
    vm->current = NULL;
}

static uint64_t host_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Sleep until the deadline or a message. */
static void wait_real(struct vm *vm, uint64_t until)
{
    struct board *b = vm->board;
    uint64_t now = board_now(b), ns = until == UINT64_MAX ? WAIT_NS : until > now ? until - now : 0;
    struct timespec ts;
    if (ns > WAIT_NS)
        ns = WAIT_NS;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += (long)ns;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    pthread_mutex_lock(&b->inbox.lock);
    if (!b->inbox.count)
        pthread_cond_timedwait(&b->inbox.arrived, &b->inbox.lock, &ts);
    pthread_mutex_unlock(&b->inbox.lock);
}

/* Virtual time, but somebody outside may send: skip no more than the host's clock moved on. A frame that
 * comes in 20 ms must not find that its guest has timed out. */
static void wait_outside(struct vm *vm, uint64_t until)
{
    uint64_t now = board_now(vm->board), start = host_ns();
    wait_real(vm, until);
    uint64_t waited = host_ns() - start;
    clock_skip_to(&vm->board->clock, until < now + waited ? until : now + waited);
}

bool vm_all_dead(const struct vm *vm)
{
    for (unsigned i = 0; i < vm->cpus; i++)
        if (vm->vcpu[i]->state == VCPU_HALTED && vm->vcpu[i]->guest->rflags & FLAG_IF)
            return false;
    return true;
}

/* Nobody can run: skip or sleep to the next event, or say that there is none. */
static void idle(struct vm *vm)
{
    struct board *b = vm->board;
    uint64_t until = b->deadline < vm->run.until_time ? b->deadline : vm->run.until_time;
    bool real = b->clock.mode == CLOCK_REAL;
    if (vm_output_ready(vm, true))
        stop_for(vm, VMK_EXIT_OUTPUT);
    else if (vm_all_dead(vm))
        stop_for(vm, VMK_EXIT_HALTED);
    else if (b->deadline == UINT64_MAX && (vm->run.until_time == UINT64_MAX || !real) &&
             !(real && vm->run.wait_for_input) && !b->outside)
        stop_for(vm, VMK_EXIT_IDLE);
    else if (real)
        wait_real(vm, until);
    else if (b->outside)
        wait_outside(vm, until);
    else
        clock_skip_to(&b->clock, until);
    board_run_due(b);
}

static int run_by_turns(struct vm *vm)
{
    board_run_due(vm->board);
    while (!vm_should_stop(vm)) {
        struct vcpu *v = next_runnable(vm);
        if (v)
            take_turn(vm, v);
        else
            idle(vm);
    }
    return VMK_OK;
}

int vm_run(struct vm *vm, const struct vmk_run *run, struct vmk_exit *out)
{
    memset(out, 0, sizeof(*out));
    vm->run = *run;
    vm->exit = out;
    clock_resume(&vm->board->clock);
    int rc = vm->parallel ? threads_run(vm) : run_by_turns(vm);
    vm->exit = NULL;
    return out->reason == VMK_EXIT_ERROR ? VMK_EENGINE : rc;
}

uint64_t vm_next_event(struct vm *vm)
{
    uint64_t now = board_now(vm->board);
    for (unsigned i = 0; i < vm->cpus; i++) {
        struct vcpu *v = vm->vcpu[i];
        if (v->state == VCPU_RUNNING || atomic_load(&v->request) || cpu_wakes(v))
            return now;
    }
    uint64_t next = inbox_deadline(&vm->board->inbox);
    next = next < vm->board->deadline ? next : vm->board->deadline;
    return next > now ? next : now;
}

void vm_stop(struct vm *vm)
{
    atomic_store(&vm->stop, true);
    if (vm->parallel)
        threads_alert(vm);
}
