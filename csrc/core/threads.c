/* A run with a host thread per vCPU.
 *
 * The threads are made at the first run and live as long as the VM. Each takes part in every run: it executes
 * its vCPU, sleeps while that is halted or waits for SIPI, and leaves when the run ends. The caller of vm_run
 * meanwhile serves what is due: timers and the inbox, output to show, limits of time. Whoever finds under the
 * board lock that the run is over ends it for all. Between runs every thread waits, so that nothing else in
 * the monitor has to know of them. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "core/vm.h"
#include "cpu/cpu.h"
#include "engine/engine.h"
#include "io/irq.h"

#define LOOK_NS 5000000ull /* the caller looks for output without a newline this often */

void threads_init(struct vm *vm)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&vm->scan_lock, NULL);
    pthread_cond_init(&vm->threads.start, NULL);
    pthread_cond_init(&vm->threads.done, NULL);
    pthread_mutex_init(&vm->threads.alert_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&vm->threads.alert, &attr);
    pthread_condattr_destroy(&attr);
}

void threads_alert(struct vm *vm)
{
    struct vm_threads *t = &vm->threads;
    pthread_mutex_lock(&t->alert_lock);
    t->alerted = true;
    pthread_cond_signal(&t->alert);
    pthread_mutex_unlock(&t->alert_lock);
}

void threads_end_run(struct vm *vm)
{
    if (vm->threads.ending)
        return;
    vm->threads.ending = true;
    for (unsigned i = 0; i < vm->cpus; i++) {
        atomic_fetch_or(&vm->vcpu[i]->request, REQ_STOP);
        pthread_cond_signal(&vm->vcpu[i]->wake);
    }
    threads_alert(vm);
}

static bool nobody_wakes(const struct vm *vm)
{
    if (vm->threads.asleep < vm->cpus)
        return false;
    for (unsigned i = 0; i < vm->cpus; i++)
        if (cpu_wakes(vm->vcpu[i]) || atomic_load(&vm->vcpu[i]->request) & REQ_NMI)
            return false;
    return true;
}

/* All CPUs wait: why the run ends for it, or 0. */
static enum vmk_exit_reason idle_reason(struct vm *vm)
{
    if (!nobody_wakes(vm))
        return 0;
    if (vm_output_ready(vm, true))
        return VMK_EXIT_OUTPUT;
    if (vm_all_dead(vm))
        return VMK_EXIT_HALTED;
    bool nothing_due = vm->board->deadline == UINT64_MAX && vm->run.until_time == UINT64_MAX;
    return nothing_due && !vm->run.wait_for_input && !vm->board->outside ? VMK_EXIT_IDLE : 0;
}

static void sleep_until_woken(struct vcpu *v)
{
    struct vm *vm = v->vm;
    v->asleep = true;
    vm->threads.asleep++;
    if (idle_reason(vm))
        threads_alert(vm);
    pthread_cond_wait(&v->wake, &vm->world.board);
    vm->threads.asleep--;
    v->asleep = false;
}

/* With the board lock, which is free while the guest runs. */
static void execute(struct vcpu *v)
{
    struct vm *vm = v->vm;
    char error[sizeof(vm->error)];
    atomic_fetch_and(&v->request, ~(unsigned)(REQ_INTERRUPT | REQ_TURN));
    engine_want_interrupt(v, v->nmi_pending || irq_pending(vm->board, v->id));
    cpu_set_limit(v);
    pthread_mutex_unlock(&vm->world.board);
    world_enter(v);
    enum engine_exit e = engine_run(v, error, sizeof(error));
    world_leave(v);
    atomic_store(&v->retired, guest_icount(v->guest));
    pthread_mutex_lock(&vm->world.board);
    if (e == ENGINE_HALTED)
        v->state = VCPU_HALTED;
    if (e != ENGINE_TRIPLE_FAULT && e != ENGINE_FAILED)
        return;
    vm->world.holder = v;
    if (e == ENGINE_FAILED && !vm->exit->reason)
        snprintf(vm->error, sizeof(vm->error), "%s", error);
    vm_end_run(vm, e == ENGINE_FAILED ? VMK_EXIT_ERROR : VMK_EXIT_TRIPLE_FAULT);
    vm->world.holder = NULL;
    threads_end_run(vm);
}

/* INIT and SIPI change the engine, which a CPU that has stopped the world may be doing too. */
static bool runnable(struct vcpu *v)
{
    world_enter(v);
    bool runs = vm_runnable(v);
    world_leave(v);
    return runs;
}

static void take_part(struct vcpu *v)
{
    while (!v->vm->threads.ending) {
        if (runnable(v))
            execute(v);
        else
            sleep_until_woken(v);
    }
    atomic_fetch_and(&v->request, ~(unsigned)REQ_STOP);
}

static void *vcpu_thread(void *arg)
{
    struct vcpu *v = arg;
    struct vm *vm = v->vm;
    struct vm_threads *t = &vm->threads;
    pthread_mutex_lock(&vm->world.board);
    while (!t->dying) {
        if (v->round == t->round) {
            pthread_cond_wait(&t->start, &vm->world.board);
            continue;
        }
        v->round = t->round;
        take_part(v);
        if (!--t->active)
            pthread_cond_signal(&t->done);
    }
    pthread_mutex_unlock(&vm->world.board);
    return NULL;
}

/* Signals are for the threads that Python knows. */
static int make_threads(struct vm *vm)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    unsigned made = 0;
    while (made < vm->cpus &&
           !pthread_create(&vm->vcpu[made]->thread, NULL, vcpu_thread, vm->vcpu[made]))
        made++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    vm->threads.made = made;
    if (made == vm->cpus)
        return VMK_OK;
    snprintf(vm->error, sizeof(vm->error), "the host has no thread for vCPU %u", made);
    return VMK_ENOMEM;
}

static void wait_for_something(struct vm *vm)
{
    struct board *b = vm->board;
    struct vm_threads *t = &vm->threads;
    struct timespec ts;
    uint64_t now = board_now(b), until = b->deadline, quiet = vm_quiet_deadline(vm);
    until = until < vm->run.until_time ? until : vm->run.until_time;
    until = until < quiet ? until : quiet;
    until = until < now + LOOK_NS ? until : now + LOOK_NS;
    if (until <= now)
        return;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += (long)(until - now);
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    t->wake_time = until;
    pthread_mutex_unlock(&vm->world.board);
    pthread_mutex_lock(&t->alert_lock);
    if (!t->alerted)
        pthread_cond_timedwait(&t->alert, &t->alert_lock, &ts);
    t->alerted = false;
    pthread_mutex_unlock(&t->alert_lock);
    pthread_mutex_lock(&vm->world.board);
    t->wake_time = 0;
}

/* The caller's part of a run, with the board lock. */
static void serve(struct vm *vm)
{
    while (!vm->threads.ending) {
        board_run_due(vm->board);
        enum vmk_exit_reason idle = idle_reason(vm);
        if (!vm_should_stop(vm) && idle)
            vm_end_run(vm, idle);
        if (vm->exit->reason)
            threads_end_run(vm);
        else
            wait_for_something(vm);
    }
}

static void join_threads(struct vm *vm)
{
    struct vm_threads *t = &vm->threads;
    pthread_mutex_lock(&vm->world.board);
    t->dying = true;
    pthread_cond_broadcast(&t->start);
    pthread_mutex_unlock(&vm->world.board);
    for (unsigned i = 0; i < t->made; i++)
        pthread_join(vm->vcpu[i]->thread, NULL);
    t->made = 0;
    t->dying = false;
}

int threads_run(struct vm *vm)
{
    struct vm_threads *t = &vm->threads;
    int rc = VMK_OK;
    pthread_mutex_lock(&vm->world.board);
    board_run_due(vm->board);
    if (!vm_should_stop(vm) && (t->made || !(rc = make_threads(vm)))) {
        t->ending = false;
        t->round++;
        t->active = vm->cpus;
        pthread_cond_broadcast(&t->start);
        serve(vm);
        while (t->active)
            pthread_cond_wait(&t->done, &vm->world.board);
    }
    pthread_mutex_unlock(&vm->world.board);
    if (rc)
        join_threads(vm);
    return rc;
}

void threads_destroy(struct vm *vm)
{
    struct vm_threads *t = &vm->threads;
    join_threads(vm);
    pthread_cond_destroy(&t->alert);
    pthread_mutex_destroy(&t->alert_lock);
    pthread_cond_destroy(&t->done);
    pthread_cond_destroy(&t->start);
    pthread_mutex_destroy(&vm->scan_lock);
}
