/* A virtual machine: creation, reset, and what its board asks of its CPUs.
 *
 * Leaves out the hand-off from a loader (core/boot.c) and the loop that gives the vCPUs turns (core/run.c).
 */
#include "core/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "engine/engine.h"

#define QUANTUM 50000u

static void request_of(struct vm *vm, unsigned cpu, unsigned bit)
{
    if (cpu >= vm->cpus)
        return;
    struct vcpu *v = vm->vcpu[cpu];
    atomic_fetch_or(&v->request, bit);
    if (!vm->parallel || v == vm->world.holder)
        engine_kick(v);
    if (v->asleep)
        pthread_cond_signal(&v->wake);
}

struct vcpu *vm_caller(struct vm *vm)
{
    return vm->parallel ? vm->world.holder : vm->current;
}

static void op_kick(void *ctx, unsigned cpu) { request_of(ctx, cpu, REQ_INTERRUPT); }
static void op_nmi(void *ctx, unsigned cpu) { request_of(ctx, cpu, REQ_NMI); }
static void op_init(void *ctx, unsigned cpu) { request_of(ctx, cpu, REQ_INIT); }

static void op_sipi(void *ctx, unsigned cpu, uint8_t vector)
{
    struct vm *vm = ctx;
    struct vcpu *v = cpu < vm->cpus ? vm->vcpu[cpu] : NULL;
    /* Only a CPU that waits (or whose INIT is still to be served) takes it: the second of the usual pair is
     * ignored. */
    if (!v || (v->state != VCPU_WAIT_SIPI && !(atomic_load(&v->request) & REQ_INIT)))
        return;
    v->sipi_vector = vector;
    request_of(vm, cpu, REQ_SIPI);
}

static void op_deadline(void *ctx)
{
    struct vm *vm = ctx;
    if (vm->parallel && vm->board->deadline < vm->threads.wake_time)
        threads_alert(vm);
    else if (vm->current)
        cpu_set_limit(vm->current);
}

static void op_request(void *ctx)
{
    struct vm *vm = ctx;
    if (vm->current)
        engine_kick(vm->current);
    if (!vm->parallel)
        return;
    if (vm->world.holder)
        request_of(vm, vm->world.holder->id, REQ_INTERRUPT);
    threads_alert(vm);
}

/* The inbox has raised its flag, which the next safe point sees: another thread may not touch a count that
 * generated code is counting down. With threads it is the caller of vm_run who looks. */
static void op_wake(void *ctx)
{
    struct vm *vm = ctx;
    if (vm->parallel)
        threads_alert(vm);
}

static void op_memory_changed(void *ctx)
{
    struct vm *vm = ctx;
    world_stop(vm, vm_caller(vm));
    for (unsigned i = 0; i < vm->cpus; i++)
        engine_flush_tlb(vm->vcpu[i]);
    world_start(vm, vm_caller(vm));
}

static void op_page_written(void *ctx, uint64_t page)
{
    struct vm *vm = ctx;
    srat_touch(&vm->srat, page);
    if (!srat_code(&vm->srat, page))
        return;
    world_stop(vm, vm_caller(vm));
    engine_forget_code(vm->vcpu[0], page);
    world_start(vm, vm_caller(vm));
}

/* Meanwhile another CPU may have translated what was there before. */
static void op_page_changed(void *ctx, uint64_t page)
{
    struct vm *vm = ctx;
    if (vm->parallel)
        op_page_written(ctx, page);
}

static const struct board_cpu_ops cpu_ops = {
    .kick = op_kick,
    .nmi = op_nmi,
    .init = op_init,
    .sipi = op_sipi,
    .deadline = op_deadline,
    .request = op_request,
    .wake = op_wake,
    .memory_changed = op_memory_changed,
    .page_written = op_page_written,
    .page_changed = op_page_changed,
};

static int add_vcpu(struct vm *vm, unsigned id, char *err, size_t errlen)
{
    struct vcpu *v = calloc(1, sizeof(*v));
    if (!v) {
        snprintf(err, errlen, "no memory for vCPU %u", id);
        return VMK_ENOMEM;
    }
    v->id = id;
    v->vm = vm;
    v->board = vm->board;
    v->parallel = vm->parallel;
    v->trace = vm->parallel ? calloc(1, sizeof(*v->trace)) : &vm->board->trace;
    pthread_cond_init(&v->wake, NULL);
    vm->vcpu[id] = v;
    vm->cpus = id + 1;
    if (!v->trace) {
        snprintf(err, errlen, "no memory for the trace of vCPU %u", id);
        return VMK_ENOMEM;
    }
    v->trace->mask = vm->board->trace.mask;
    return engine_create(v, err, errlen);
}

static int build(struct vm *vm, const struct vmk_config *cfg, char *err, size_t errlen)
{
    struct sbe_config sbe = {.profile = (enum sbe_profile)cfg->sbe_profile};
    int rc = engine_selfcheck(err, errlen);
    if (rc)
        return rc;
    if (!cfg->cpus || cfg->cpus > BOARD_MAX_CPUS) {
        snprintf(err, errlen, "%u CPUs: a VM has 1 to %d", cfg->cpus, BOARD_MAX_CPUS);
        return VMK_EINVAL;
    }
    if (!cpuid_model_name(cfg->cpu_model)) {
        snprintf(err, errlen, "there is no CPU model number %u", cfg->cpu_model);
        return VMK_EINVAL;
    }
    if (cfg->smp > VMK_SMP_THREADS || (cfg->smp == VMK_SMP_THREADS && cfg->time_mode != VMK_TIME_REAL)) {
        snprintf(err, errlen, "a thread per CPU needs real time: only turns are the same in every run");
        return VMK_EINVAL;
    }
    vm->parallel = cfg->smp == VMK_SMP_THREADS;
    vm->crowded = vm->parallel && cfg->cpus > sysconf(_SC_NPROCESSORS_ONLN);
    if (!(vm->board = board_create(cfg, err, errlen)))
        return VMK_EINVAL;
    vm->sbe = sbe_create(&sbe);
    if (!vm->sbe || srat_init(&vm->srat, cfg->memory / PAGE_SIZE, RAM_ROM_MAX / PAGE_SIZE, 1)) {
        snprintf(err, errlen, "no memory for the scanner's or the SRAT's tables");
        return VMK_ENOMEM;
    }
    vm->sites = sbe_sites_of(vm->sbe);
    vm->direct = cfg->direct;
    vm->quantum = cfg->quantum ? cfg->quantum : QUANTUM;
    for (unsigned i = 0; i < cfg->cpus; i++)
        if ((rc = add_vcpu(vm, i, err, errlen)))
            return rc;
    vm->board->cpu = &cpu_ops;
    vm->board->cpu_ctx = vm;
    vm_reset(vm);
    return VMK_OK;
}

struct vm *vm_create(const struct vmk_config *cfg, char *err, size_t errlen)
{
    struct vm *vm = calloc(1, sizeof(*vm));
    if (!vm) {
        snprintf(err, errlen, "no memory for a VM");
        return NULL;
    }
    vm->run.until_time = vm->run.until_instructions = UINT64_MAX;
    world_init(&vm->world);
    threads_init(vm);
    if (build(vm, cfg, err, errlen) == VMK_OK)
        return vm;
    vm_destroy(vm);
    return NULL;
}

void vm_destroy(struct vm *vm)
{
    if (!vm)
        return;
    threads_destroy(vm);
    if (vm->board)
        board_shut(vm->board);
    for (unsigned i = 0; i < vm->cpus; i++) {
        struct vcpu *v = vm->vcpu[i];
        engine_destroy(v);
        pthread_cond_destroy(&v->wake);
        if (vm->parallel)
            free(v->trace);
        free(v);
    }
    free(vm->merged);
    world_destroy(&vm->world);
    if (vm->board) {
        vm->cpus = 0;
        board_destroy(vm->board);
    }
    if (vm->sbe)
        sbe_destroy(vm->sbe);
    srat_free(&vm->srat);
    free(vm);
}

static void reset_vcpu(struct vcpu *v)
{
    engine_reset(v);
    cpu_power_on(v);
    v->nmi_pending = false;
    atomic_store(&v->request, 0);
    v->state = v->id ? VCPU_WAIT_SIPI : VCPU_RUNNING;
}

void vm_reset(struct vm *vm)
{
    board_reset(vm->board);
    for (unsigned i = 0; i < vm->cpus; i++)
        reset_vcpu(vm->vcpu[i]);
    vm->next = 0;
}

uint64_t vm_instructions(const struct vm *vm)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < vm->cpus; i++)
        total += vm->parallel ? atomic_load(&vm->vcpu[i]->retired) : guest_icount(vm->vcpu[i]->guest);
    return total;
}
