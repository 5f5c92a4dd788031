/* One Unicorn engine per vCPU: creation, running, stopping, and access to the interrupted CPU for the
 * monitor.
 *
 * One uc_emu_start serves a vCPU's whole turn. The public hooks that are used are two (exceptions, undefined
 * instructions); everything else comes through wrapped functions. An asynchronous uc_emu_stop is never used:
 * it restarts the instruction it interrupts, so a read-modify-write runs twice. A kick brings the limit
 * near instead, which the next block start notices; other threads set a flag, which the next safe point
 * does. */
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "core/vcpu.h"
#include "core/vm.h"
#include "cpu/cpu.h"
#include "engine/alone.h"
#include "engine/code_pages.h"
#include "engine/count.h"
#include "engine/direct.h"
#include "engine/jump.h"
#include "engine/mmio.h"
#include "engine/private.h"
#include "engine/sse.h"
#include "engine/tlb.h"
#include "engine/walk.h"

#define CODE_BUFFER (256u << 20)
#define RESET_EDX 0x000306c3u /* the CPU model's signature */

/* The block's count included the instruction that raised this. A trap retired; a fault did not, nor did an
 * INT whose delivery failed. */
static void uncount_fault(struct vcpu *v)
{
    bool retired = v->stepped || v->guest->exception_is_int;
    unsigned undone = direct_undone(v);
    if (undone)
        v->guest->left += undone;
    else if (v->native_ra)
        count_take_back(v, v->native_ra, 0);
    else if (v->delivering == DELIVERING_INT)
        v->guest->left++;
    else if (!v->fault_restored && !v->fault_at_fetch && !v->delivering && !retired)
        v->guest->left++; /* raised without a return address: it ended its block */
    v->native_ra = 0;
    v->fault_restored = v->fault_at_fetch = v->stepped = false;
}

static void on_exception(uc_engine *uc, uint32_t vector, void *user)
{
    struct vcpu *v = user;
    (void)uc;
    v->translating = false;
    alone_end(v);
    uncount_fault(v);
    cpu_exception(v, vector);
    /* The engine has put rip behind an INT already, where a fault while delivering it would find it. */
    if (v->guest->exception_is_int)
        v->guest->rip -= v->int_length;
    CPU_EXCEPTION_INDEX(v->cpu) = (int32_t)vector;
    v->delivering = v->guest->exception_is_int ? DELIVERING_INT : DELIVERING_EVENT;
    x86_cpu_do_interrupt_x86_64(v->cpu);
    v->delivering = DELIVERING_NOTHING;
}

/* INT1 is an undefined opcode to the engine. */
static bool on_invalid_instruction(uc_engine *uc, void *user)
{
    struct vcpu *v = user;
    unsigned length = v->fault_at_fetch ? 0 : cpu_int1_length(v);
    v->guest->rip += length;
    v->stepped = length;
    on_exception(uc, length ? EXC_DB : EXC_UD, user);
    return true;
}

/* The engine's main loop asks here whenever `interrupt_request` is set, with the window's state exact. */
static bool exec_interrupt(void *cpu, int request)
{
    struct vcpu *v = UC_OWNER(CPU_UC(cpu));
    (void)request;
    v->delivering = DELIVERING_EVENT;
    bool taken = cpu_take_interrupt(v);
    v->delivering = DELIVERING_NOTHING;
    return taken;
}

/* Which memory region a physical address is in: the engine asks on every slow-path access, and its own answer
 * is a tree walk. */
static void *memory_mapping(uc_engine *uc, uint64_t paddr)
{
    struct vcpu *v = UC_OWNER(uc);
    return paddr < ENGINE_MMIO_BASE ? v->memory_region : v->mmio_region;
}

static uc_err open_engine(struct vcpu *v, uc_engine **uc)
{
    const struct ram *r = &v->board->ram;
    uc_err e = uc_open(UC_ARCH_X86, UC_MODE_64, uc);
    if (!e)
        e = uc_ctl_set_tcg_buffer_size(*uc, CODE_BUFFER);
    if (!e)
        e = uc_ctl_set_cpu_model(*uc, UC_CPU_X86_HASWELL);
    if (!e)
        e = uc_mem_map_ptr(*uc, 0, r->size + RAM_ROM_MAX, UC_PROT_ALL, r->host);
    if (!e)
        e = uc_mmio_map(*uc, ENGINE_MMIO_BASE, ENGINE_MMIO_SIZE, mmio_read, v, mmio_write, v);
    if (!e)
        e = uc_ctl_exits_enable(*uc);
    return e;
}

static uc_err add_hooks(struct vcpu *v, uc_engine *uc)
{
    uc_hook h;
    uc_err e = uc_hook_add(uc, &h, UC_HOOK_INTR, (void *)on_exception, v, 1, 0);
    return e ? e : uc_hook_add(uc, &h, UC_HOOK_INSN_INVALID, (void *)on_invalid_instruction, v, 1, 0);
}

int engine_create(struct vcpu *v, char *err, size_t errlen)
{
    uc_engine *uc = NULL;
    uc_err e = open_engine(v, &uc);
    if (!e)
        e = add_hooks(v, uc);
    v->uc = uc;
    if (e) {
        snprintf(err, errlen, "engine of vCPU %u: %s", v->id, uc_strerror(e));
        return VMK_EENGINE;
    }
    v->cpu = UC_CPU(uc);
    v->guest = CPU_ENV(v->cpu);
    v->tcg = UC_TCG_CTX(uc);
    v->memory_region = UC_MEMORY_MAPPING(uc)(uc, 0);
    v->mmio_region = UC_MEMORY_MAPPING(uc)(uc, ENGINE_MMIO_BASE);
    UC_OWNER(uc) = v;
    UC_NO_EXIT_REQUEST(uc) = true;
    UC_MEMORY_MAPPING(uc) = memory_mapping;
    CLASS_TLB_FILL(CPU_CLASS(v->cpu)) = tlb_fill;
    CLASS_EXEC_INTERRUPT(CPU_CLASS(v->cpu)) = exec_interrupt;
    if (jump_create(v) || tlb_create(v) || direct_create(v)) {
        snprintf(err, errlen, "engine of vCPU %u: no memory for its tables", v->id);
        return VMK_ENOMEM;
    }
    engine_reset(v);
    return VMK_OK;
}

void engine_destroy(struct vcpu *v)
{
    if (v->uc) {
        UC_OWNER(v->uc) = NULL; /* the engine would free it */
        uc_close(v->uc);
    }
    direct_destroy(v);
    tlb_destroy(v);
    jump_destroy(v);
    v->uc = NULL;
}

void engine_reset(struct vcpu *v)
{
    uint64_t icount = guest_icount(v->guest);
    cpu_reset(v->cpu);
    v->guest->limit = icount;
    v->guest->left = 0;
    engine_set_cr4(v, 0); /* the engine starts with bits that suit its own users */
    v->guest->reg[RDX] = RESET_EDX;
    v->guest->tr.flags = TSS32_IN_USE;
    v->guest->old_exception = -1;
    CPU_HALTED(v->cpu) = 0;
    CPU_EXCEPTION_INDEX(v->cpu) = -1;
    CPU_INTERRUPT_REQUEST(v->cpu) = 0;
    v->fault_restored = v->fault_at_fetch = v->stepped = v->translating = v->triple_fault = false;
    v->delivering = DELIVERING_NOTHING;
}

enum engine_exit engine_run(struct vcpu *v, char *err, size_t errlen)
{
    v->stats.entries++;
    uint32_t own = sse_enter(v->guest);
    uc_err e = uc_emu_start(v->uc, v->guest->rip, 0, 0, 0);
    sse_leave(v->guest, own);
    alone_end(v);
    if (v->triple_fault)
        return ENGINE_TRIPLE_FAULT;
    if (e) {
        snprintf(err, errlen, "the engine stopped at rip 0x%llx: %s", (unsigned long long)v->guest->rip,
                 uc_strerror(e));
        return ENGINE_FAILED;
    }
    return CPU_HALTED(v->cpu) ? ENGINE_HALTED : ENGINE_STOPPED;
}

void engine_kick(struct vcpu *v)
{
    engine_set_limit(v, guest_icount(v->guest));
}

void engine_stop(struct vcpu *v)
{
    uc_emu_stop(v->uc);
}

void engine_leave_block(struct vcpu *v, uintptr_t ra)
{
    const struct tb *tb = tcg_tb_lookup_x86_64(v->tcg, ra);
    if (tb)
        v->guest->rip = tb->pc - tb->cs_base;
    CPU_EXCEPTION_INDEX(v->cpu) = -1;
    cpu_loop_exit_x86_64(v->cpu);
}

void engine_resume_at(struct vcpu *v)
{
    CPU_EXCEPTION_INDEX(v->cpu) = -1;
    cpu_loop_exit_x86_64(v->cpu);
}

void __wrap_helper_single_step_x86_64(struct guest *env);
void engine_single_step(struct vcpu *v)
{
    __wrap_helper_single_step_x86_64(v->guest);
    __builtin_unreachable();
}

void engine_halt(struct vcpu *v)
{
    v->guest->hflags &= ~HF_INHIBIT;
    CPU_HALTED(v->cpu) = 1;
    CPU_EXCEPTION_INDEX(v->cpu) = ENGINE_EXCP_HLT;
    cpu_loop_exit_x86_64(v->cpu);
}

void engine_finish_instruction(struct vcpu *v, uintptr_t ra)
{
    count_take_back(v, ra, 1);
}

void engine_want_interrupt(struct vcpu *v, bool want)
{
    if (want)
        CPU_INTERRUPT_REQUEST(v->cpu) |= INTERRUPT_HARD;
    else
        CPU_INTERRUPT_REQUEST(v->cpu) &= ~INTERRUPT_HARD;
}

void engine_interrupt(struct vcpu *v, int vector)
{
    do_interrupt_x86_hardirq_x86_64(v->guest, vector, 1);
}

void engine_raise(struct vcpu *v, int vector, int error, uintptr_t ra)
{
    raise_exception_err_ra_x86_64(v->guest, vector, error, ra);
}

int __real_cpu_restore_state_x86_64(void *cpu, uintptr_t ra, int will_exit);
void engine_sync(struct vcpu *v, uintptr_t ra)
{
    if (ra)
        __real_cpu_restore_state_x86_64(v->cpu, ra, 0);
}

uint64_t engine_flags(struct vcpu *v)
{
    return helper_read_eflags_x86_64(v->guest);
}

void engine_set_flags(struct vcpu *v, uint64_t flags)
{
    v->guest->cc_src = flags & FLAGS_ARITH;
    v->guest->cc_op = CC_OP_EFLAGS;
    v->guest->df = flags & FLAG_DF ? -1 : 1;
    v->guest->rflags = (flags & ~(uint64_t)(FLAGS_ARITH | FLAG_DF)) | 2;
}

uint64_t engine_load(struct vcpu *v, uint64_t va, unsigned size, uintptr_t ra)
{
    switch (size) {
    case 1: return cpu_ldub_data_ra_x86_64(v->guest, va, ra);
    case 2: return cpu_lduw_data_ra_x86_64(v->guest, va, ra);
    case 4: return cpu_ldl_data_ra_x86_64(v->guest, va, ra);
    default: return cpu_ldq_data_ra_x86_64(v->guest, va, ra);
    }
}

void engine_store(struct vcpu *v, uint64_t va, unsigned size, uint64_t value, uintptr_t ra)
{
    switch (size) {
    case 1: cpu_stb_data_ra_x86_64(v->guest, va, (uint32_t)value & 0xff, ra); break;
    case 2: cpu_stw_data_ra_x86_64(v->guest, va, (uint32_t)value & 0xffff, ra); break;
    case 4: cpu_stl_data_ra_x86_64(v->guest, va, (uint32_t)value, ra); break;
    default: cpu_stq_data_ra_x86_64(v->guest, va, value, ra); break;
    }
}

uint16_t engine_load16_kernel(struct vcpu *v, uint64_t va, uintptr_t ra)
{
    return (uint16_t)cpu_lduw_mmuidx_ra_x86_64(v->guest, va, MMU_KERNEL, ra);
}

bool engine_peek(struct vcpu *v, uint64_t va, uint64_t *gpa)
{
    return walk_peek(v, va, gpa);
}

void __wrap_tlb_flush_x86_64(void *cpu);
void engine_flush_tlb(struct vcpu *v)
{
    __wrap_tlb_flush_x86_64(v->cpu);
}

void engine_forget_code(struct vcpu *v, uint64_t page)
{
    code_forget(v, page);
}
