/* A virtual machine: creation, the hand-off from a loader, and the loop that gives its vCPUs turns.
 *
 * Owns the round robin, idle time, INIT and SIPI (served on the target's own turn), and what ends a run. Leaves out what happens inside
 * a turn (cpu/interrupt.c) and every policy about what to do when a run ends, which is Python's. */
#define _GNU_SOURCE
#include "core/vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "dev/lapic.h"
#include "engine/engine.h"

#define QUANTUM 50000u
#define QUIET_NS 1000000ull /* part of a line is shown to Python when nothing followed for this long */
#define CODE16 0x9b00u
#define DATA16 0x9300u
#define CODE32_FLAGS 0x00cf9b00u
#define CODE64_FLAGS 0x00af9b00u
#define DATA_FLAGS 0x00cf9300u

static void request_of(struct vm *vm, unsigned cpu, unsigned bit)
{
    if (cpu >= vm->cpus)
        return;
    atomic_fetch_or(&vm->vcpu[cpu]->request, bit);
    engine_kick(vm->vcpu[cpu]);
}

static void op_kick(void *ctx, unsigned cpu) { request_of(ctx, cpu, REQ_INTERRUPT); }
static void op_nmi(void *ctx, unsigned cpu) { request_of(ctx, cpu, REQ_NMI); }
static void op_init(void *ctx, unsigned cpu) { request_of(ctx, cpu, REQ_INIT); }

static void op_sipi(void *ctx, unsigned cpu, uint8_t vector)
{
    struct vm *vm = ctx;
    struct vcpu *v = cpu < vm->cpus ? vm->vcpu[cpu] : NULL;
    /* Only a CPU that waits (or whose INIT is still to be served) takes it: the second of the usual pair is ignored. */
    if (!v || (v->state != VCPU_WAIT_SIPI && !(atomic_load(&v->request) & REQ_INIT)))
        return;
    v->sipi_vector = vector;
    request_of(vm, cpu, REQ_SIPI);
}

static void op_deadline(void *ctx)
{
    struct vm *vm = ctx;
    if (vm->current)
        cpu_set_limit(vm->current);
}

static void op_request(void *ctx)
{
    struct vm *vm = ctx;
    if (vm->current)
        engine_kick(vm->current);
}

static void op_memory_changed(void *ctx)
{
    struct vm *vm = ctx;
    for (unsigned i = 0; i < vm->cpus; i++)
        engine_flush_tlb(vm->vcpu[i]);
}

static void op_page_written(void *ctx, uint64_t page)
{
    struct vm *vm = ctx;
    srat_touch(&vm->srat, page);
    if (vm->srat.code_mask[page])
        engine_forget_code(vm->vcpu[0], page);
}

static const struct board_cpu_ops cpu_ops = {
    .kick = op_kick, .nmi = op_nmi, .init = op_init, .sipi = op_sipi, .deadline = op_deadline, .request = op_request,
    .memory_changed = op_memory_changed, .page_written = op_page_written,
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
    vm->vcpu[id] = v;
    vm->cpus = id + 1;
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
    if (!(vm->board = board_create(cfg, err, errlen)))
        return VMK_EINVAL;
    vm->sbe = sbe_create(&sbe);
    if (!vm->sbe || srat_init(&vm->srat, cfg->memory / PAGE_SIZE, RAM_ROM_MAX / PAGE_SIZE, 1)) {
        snprintf(err, errlen, "no memory for the scanner's or the SRAT's tables");
        return VMK_ENOMEM;
    }
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
    if (build(vm, cfg, err, errlen) == VMK_OK)
        return vm;
    vm_destroy(vm);
    return NULL;
}

void vm_destroy(struct vm *vm)
{
    if (!vm)
        return;
    for (unsigned i = 0; i < vm->cpus; i++) {
        engine_destroy(vm->vcpu[i]);
        free(vm->vcpu[i]);
    }
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
        total += vm->vcpu[i]->guest->icount;
    return total;
}

static void load_segment(struct guest *g, enum seg seg, uint16_t selector, uint64_t base, uint32_t limit, uint32_t flags)
{
    g->seg[seg] = (struct segment){.selector = selector, .base = base, .limit = limit, .flags = flags};
}

static void load_data_segments(struct guest *g, uint16_t selector, uint64_t base, uint32_t limit, uint32_t flags)
{
    for (enum seg s = SEG_ES; s <= SEG_GS; s++)
        if (s != SEG_CS)
            load_segment(g, s, selector, base, limit, flags);
}

static void boot_real(struct guest *g, const struct vmk_boot *b)
{
    load_segment(g, SEG_CS, b->cs, (uint64_t)b->cs << 4, 0xffff, CODE16);
    load_data_segments(g, b->ds, (uint64_t)b->ds << 4, 0xffff, DATA16);
}

static void boot_protected(struct vcpu *v, const struct vmk_boot *b)
{
    struct guest *g = v->guest;
    engine_set_cr0(v, CR0_PE | CR0_ET);
    load_segment(g, SEG_CS, b->cs, 0, UINT32_MAX, CODE32_FLAGS);
    load_data_segments(g, b->ds, 0, UINT32_MAX, DATA_FLAGS);
    g->tr = (struct segment){.limit = 0x67, .flags = TSS32_IN_USE};
    g->hflags = (g->hflags & ~(uint32_t)HF_ADDSEG) | HF_CS32 | HF_SS32;
}

static void boot_long(struct vcpu *v, const struct vmk_boot *b)
{
    struct guest *g = v->guest;
    g->efer = EFER_LME | EFER_NXE | EFER_SCE;
    engine_set_cr4(v, CR4_PAE);
    engine_set_cr3(v, b->cr3);
    engine_set_cr0(v, CR0_PE | CR0_ET | CR0_NE | CR0_WP | (uint64_t)CR0_PG);
    load_segment(g, SEG_CS, b->cs, 0, UINT32_MAX, CODE64_FLAGS);
    load_data_segments(g, b->ds, 0, UINT32_MAX, DATA_FLAGS);
    g->hflags = (g->hflags & ~(uint32_t)HF_ADDSEG) | HF_CS32 | HF_SS32 | HF_CS64;
}

/* A kernel that is loaded without firmware finds the interrupt controllers as a PC BIOS leaves them: the PIC pair reaches the boot CPU
 * through LINT0, and PCI's lines are level-triggered. */
static void boot_interrupts(struct vm *vm)
{
    struct dev *apic = vm->board->irq.lapic[0];
    lapic_mmio_write(apic, 0xf0, 4, 0x1ff);
    lapic_mmio_write(apic, 0x350, 4, 0x700);
    lapic_mmio_write(apic, 0x360, 4, 0x400);
    bus_port_write(vm->board, 0x4d1, 1, 0x0e);
}

int vm_boot(struct vm *vm, const struct vmk_boot *b)
{
    struct vcpu *v = vm->vcpu[0];
    struct guest *g = v->guest;
    vm_reset(vm);
    if (b->mode == VMK_MODE_RESET)
        return VMK_OK;
    boot_interrupts(vm);
    memcpy(g->reg, b->reg, sizeof(g->reg));
    g->gdt.base = b->gdt_base;
    g->gdt.limit = b->gdt_limit;
    switch (b->mode) {
    case VMK_MODE_REAL: boot_real(g, b); break;
    case VMK_MODE_PROTECTED: boot_protected(v, b); break;
    case VMK_MODE_LONG: boot_long(v, b); break;
    default:
        snprintf(vm->error, sizeof(vm->error), "there is no boot mode %u", b->mode);
        return VMK_EINVAL;
    }
    g->rip = b->entry;
    return VMK_OK;
}

static bool stop_for(struct vm *vm, enum vmk_exit_reason reason)
{
    vm->exit->reason = reason;
    vm->exit->request = vm->board->request;
    vm->exit->value = vm->board->request_value;
    vm->exit->cpu = vm->current ? vm->current->id : 0;
    return true;
}

/* A whole line, or part of one that nothing followed. */
static bool output_ready(struct vm *vm, bool idle)
{
    for (unsigned ch = 0; ch < VMK_CHANNELS; ch++) {
        const struct output *o = &vm->board->out[ch];
        if (!(vm->run.watch_output >> ch & 1) || !o->len)
            continue;
        if (o->line || idle || board_now(vm->board) - o->last_time >= QUIET_NS)
            return true;
    }
    return false;
}

bool vm_should_stop(struct vm *vm)
{
    if (vm->exit->reason)
        return true;
    if (vm->sbe_failed) {
        snprintf(vm->error, sizeof(vm->error), "scan before execution: %s", sbe_error(vm->sbe));
        return stop_for(vm, VMK_EXIT_ERROR);
    }
    if (vm->board->request)
        return stop_for(vm, VMK_EXIT_REQUEST);
    if (output_ready(vm, false))
        return stop_for(vm, VMK_EXIT_OUTPUT);
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
        load_segment(v->guest, SEG_CS, (uint16_t)(v->sipi_vector << 8), (uint64_t)v->sipi_vector << 12, 0xffff, CODE16);
        v->guest->rip = 0;
        v->state = VCPU_RUNNING;
    }
}

static bool runnable(struct vcpu *v)
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
        if (runnable(vm->vcpu[id])) {
            vm->next = (id + 1) % vm->cpus;
            return vm->vcpu[id];
        }
    }
    return NULL;
}

static void take_turn(struct vm *vm, struct vcpu *v)
{
    vm->current = v;
    clock_attach(&vm->board->clock, &v->guest->icount);
    v->turn_end = vm->cpus > 1 ? v->guest->icount + vm->quantum : UINT64_MAX;
    atomic_fetch_and(&v->request, ~(unsigned)(REQ_INTERRUPT | REQ_TURN));
    engine_want_interrupt(v, v->nmi_pending || irq_pending(vm->board, v->id));
    cpu_set_limit(v);
    enum engine_exit e = engine_run(v, vm->error, sizeof(vm->error));
    clock_attach(&vm->board->clock, NULL);
    if (e == ENGINE_HALTED)
        v->state = VCPU_HALTED;
    else if (e == ENGINE_TRIPLE_FAULT)
        stop_for(vm, VMK_EXIT_TRIPLE_FAULT);
    else if (e == ENGINE_FAILED)
        stop_for(vm, VMK_EXIT_ERROR);
    vm->current = NULL;
}

/* Real time: sleep until the deadline or a message. */
static void wait_real(struct vm *vm, uint64_t until)
{
    struct board *b = vm->board;
    uint64_t now = board_now(b), ns = until == UINT64_MAX ? 50000000ull : until > now ? until - now : 0;
    struct timespec ts;
    if (ns > 50000000ull)
        ns = 50000000ull; /* look for vm_stop now and then */
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += (long)ns;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    pthread_mutex_lock(&b->inbox.lock);
    if (!b->inbox.count)
        pthread_cond_timedwait(&b->inbox.arrived, &b->inbox.lock, &ts);
    pthread_mutex_unlock(&b->inbox.lock);
}

static bool all_dead(const struct vm *vm)
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
    if (output_ready(vm, true))
        stop_for(vm, VMK_EXIT_OUTPUT);
    else if (all_dead(vm))
        stop_for(vm, VMK_EXIT_HALTED);
    else if (b->deadline == UINT64_MAX && (vm->run.until_time == UINT64_MAX || !real) && !(real && vm->run.wait_for_input))
        stop_for(vm, VMK_EXIT_IDLE);
    else if (real)
        wait_real(vm, until);
    else
        clock_skip_to(&b->clock, until);
    board_run_due(b);
}

int vm_run(struct vm *vm, const struct vmk_run *run, struct vmk_exit *out)
{
    memset(out, 0, sizeof(*out));
    vm->run = *run;
    vm->exit = out;
    clock_resume(&vm->board->clock);
    board_run_due(vm->board);
    while (!vm_should_stop(vm)) {
        struct vcpu *v = next_runnable(vm);
        if (v)
            take_turn(vm, v);
        else
            idle(vm);
    }
    clock_pause(&vm->board->clock);
    vm->exit = NULL;
    return out->reason == VMK_EXIT_ERROR ? VMK_EENGINE : VMK_OK;
}

void vm_stop(struct vm *vm)
{
    atomic_store(&vm->stop, true);
    for (unsigned i = 0; i < vm->cpus; i++)
        engine_kick(vm->vcpu[i]);
}
