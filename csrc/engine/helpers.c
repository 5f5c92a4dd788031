/* The engine's helpers for sensitive instructions, replaced: generated code calls straight into the monitor.
 *
 * Each is the target of the linker's --wrap for the engine's own helper, so nothing is looked up and no hook
 * list is walked: reaching the monitor costs one call. The two helpers that rewritten instructions become
 * (OUT DX,AL and SYSCALL) carry the site's number in their constant argument. Leaves out: what each
 * instruction does (cpu/). */
#include "engine/helpers.h"

#include "core/vcpu.h"
#include "cpu/cpu.h"
#include "engine/engine.h"
#include "engine/private.h"
#include "engine/tlb.h"

static inline struct vcpu *owner(struct guest *env)
{
    return UC_OWNER(env->uc);
}

/* The same where the monitor does the instruction's work. */
static inline struct vcpu *enter(struct guest *env)
{
    struct vcpu *v = owner(env);
    v->stats.monitor_entries++;
    return v;
}

#define IN_HELPER(name, size)                                      \
    uint64_t __wrap_##name(struct guest *env, uint32_t port);      \
    uint64_t __wrap_##name(struct guest *env, uint32_t port)       \
    {                                                              \
        return cpu_port_read(enter(env), port, size, CALLER);      \
    }
IN_HELPER(helper_inb_x86_64, 1)
IN_HELPER(helper_inw_x86_64, 2)
IN_HELPER(helper_inl_x86_64, 4)

#define OUT_HELPER(name, size)                                              \
    void __wrap_##name(struct guest *env, uint32_t port, uint32_t data);    \
    void __wrap_##name(struct guest *env, uint32_t port, uint32_t data)     \
    {                                                                       \
        cpu_port_write(enter(env), port, size, data, CALLER);               \
    }
OUT_HELPER(helper_outw_x86_64, 2)
OUT_HELPER(helper_outl_x86_64, 4)

void __wrap_helper_outb_x86_64(struct guest *env, uint32_t port, uint32_t data)
{
    if (port & TRAP_TAG)
        cpu_trap(owner(env), port & ~TRAP_TAG, CALLER, TRAP_AS_OUT);
    else
        cpu_port_write(enter(env), port, 1, data, CALLER);
}

void __wrap_helper_syscall_x86_64(struct guest *env, uint32_t length)
{
    if (length & TRAP_TAG)
        cpu_trap(owner(env), length & ~TRAP_TAG, CALLER, TRAP_AS_SYSCALL);
    else
        cpu_syscall(enter(env), length, CALLER);
}

void __wrap_helper_hlt_x86_64(struct guest *env, uint32_t length)
{
    if (length & TRAP_TAG)
        cpu_trap(owner(env), length & ~TRAP_TAG, CALLER, TRAP_AS_HLT);
    else
        cpu_hlt(enter(env), length, CALLER);
}

/* Must be a tail call: the engine's body finds the faulting instruction by its own return address. */
void __wrap_helper_iret_protected_x86_64(struct guest *env, uint32_t shift, int next_eip)
{
    if (__builtin_expect(!(shift & TRAP_TAG), 1))
        __real_helper_iret_protected_x86_64(env, shift, next_eip);
    else
        cpu_trap(owner(env), shift & ~TRAP_TAG, CALLER, TRAP_AS_IRET);
}

/* Instructions that end in one call with nothing but the CPU: DEFINE(helper, monitor's function). */
#define PLAIN(name, call)                  \
    void __wrap_##name(struct guest *env); \
    void __wrap_##name(struct guest *env)  \
    {                                      \
        call(enter(env), CALLER);          \
    }
PLAIN(helper_cpuid_x86_64, cpu_cpuid)
PLAIN(helper_rdtsc_x86_64, cpu_rdtsc)
PLAIN(helper_rdtscp_x86_64, cpu_rdtscp)
PLAIN(helper_rdpmc_x86_64, cpu_rdpmc)
PLAIN(helper_rdmsr_x86_64, cpu_rdmsr)
PLAIN(helper_wrmsr_x86_64, cpu_wrmsr)

/* The engine's translator calls these two with the instruction's length and never comes back. */
#define WITH_LENGTH(name, call)                             \
    void __wrap_##name(struct guest *env, uint32_t length); \
    void __wrap_##name(struct guest *env, uint32_t length)  \
    {                                                       \
        call(enter(env), length, CALLER);                   \
    }
WITH_LENGTH(helper_sysenter_x86_64, cpu_sysenter)
WITH_LENGTH(helper_pause_x86_64, cpu_pause)
WITH_LENGTH(helper_mwait_x86_64, cpu_mwait)

void __wrap_helper_monitor_x86_64(struct guest *env, uint64_t address);
void __wrap_helper_monitor_x86_64(struct guest *env, uint64_t address)
{
    cpu_monitor(enter(env), address, CALLER);
}

uint64_t __wrap_helper_rdrand_x86_64(struct guest *env);
uint64_t __wrap_helper_rdrand_x86_64(struct guest *env)
{
    return cpu_rdrand(enter(env));
}

uint64_t __wrap_helper_read_crN_x86_64(struct guest *env, int reg);
uint64_t __wrap_helper_read_crN_x86_64(struct guest *env, int reg)
{
    return cpu_read_cr(enter(env), (unsigned)reg);
}

void __wrap_helper_write_crN_x86_64(struct guest *env, int reg, uint64_t value);
void __wrap_helper_write_crN_x86_64(struct guest *env, int reg, uint64_t value)
{
    cpu_write_cr(enter(env), (unsigned)reg, value, CALLER);
}

/* Instructions the engine executes once the checks it leaves out have passed. Tail calls, as above. */
void __real_helper_set_dr_x86_64(struct guest *env, int reg, uint64_t value);
void __wrap_helper_set_dr_x86_64(struct guest *env, int reg, uint64_t value);
void __wrap_helper_set_dr_x86_64(struct guest *env, int reg, uint64_t value)
{
    value = cpu_check_dr_write(owner(env), (unsigned)reg, value, CALLER);
    __real_helper_set_dr_x86_64(env, reg, value);
}

uint64_t __real_helper_get_dr_x86_64(struct guest *env, int reg);
uint64_t __wrap_helper_get_dr_x86_64(struct guest *env, int reg);
uint64_t __wrap_helper_get_dr_x86_64(struct guest *env, int reg)
{
    cpu_check_dr(owner(env), CALLER);
    return __real_helper_get_dr_x86_64(env, reg);
}

void __real_helper_ltr_x86_64(struct guest *env, int selector);
void __wrap_helper_ltr_x86_64(struct guest *env, int selector);
void __wrap_helper_ltr_x86_64(struct guest *env, int selector)
{
    cpu_check_ltr(owner(env), (uint16_t)selector, CALLER);
    __real_helper_ltr_x86_64(env, selector);
}

void __real_helper_sysret_x86_64(struct guest *env, int dflag);
void __wrap_helper_sysret_x86_64(struct guest *env, int dflag);
void __wrap_helper_sysret_x86_64(struct guest *env, int dflag)
{
    cpu_check_sysret(owner(env), dflag == 2, CALLER);
    __real_helper_sysret_x86_64(env, dflag);
}

void __real_helper_sysexit_x86_64(struct guest *env, int dflag);
void __wrap_helper_sysexit_x86_64(struct guest *env, int dflag);
void __wrap_helper_sysexit_x86_64(struct guest *env, int dflag)
{
    cpu_check_sysexit(owner(env), dflag == 2, CALLER);
    __real_helper_sysexit_x86_64(env, dflag);
}

/* A software interrupt is raised with its length; the second is INTO's way. */
void __real_helper_raise_interrupt_x86_64(struct guest *env, int vector, int length);
void __wrap_helper_raise_interrupt_x86_64(struct guest *env, int vector, int length);
void __wrap_helper_raise_interrupt_x86_64(struct guest *env, int vector, int length)
{
    owner(env)->int_length = (uint8_t)length;
    __real_helper_raise_interrupt_x86_64(env, vector, length);
}

void __real_raise_interrupt_x86_64(struct guest *env, int vector, int is_int, int error, int length);
void __wrap_raise_interrupt_x86_64(struct guest *env, int vector, int is_int, int error, int length);
void __wrap_raise_interrupt_x86_64(struct guest *env, int vector, int is_int, int error, int length)
{
    owner(env)->int_length = (uint8_t)length;
    __real_raise_interrupt_x86_64(env, vector, is_int, error, length);
}

/* The #DB behind an instruction that began with TF set; the second form is SYSCALL's and SYSRET's, which look
 * at TF when they are done. */
void __real_helper_single_step_x86_64(struct guest *env);
void __wrap_helper_single_step_x86_64(struct guest *env)
{
    owner(env)->stepped = true;
    __real_helper_single_step_x86_64(env);
}

void __wrap_helper_rechecking_single_step_x86_64(struct guest *env);
void __wrap_helper_rechecking_single_step_x86_64(struct guest *env)
{
    if (env->rflags & FLAG_TF)
        __wrap_helper_single_step_x86_64(env);
}

/* A shutdown: the engine would stop without a word. */
void __wrap_qemu_system_reset_request(uc_engine *uc);
void __wrap_qemu_system_reset_request(uc_engine *uc)
{
    struct vcpu *v = UC_OWNER(uc);
    v->triple_fault = true;
}

/* For cpu/: the engine's own bodies. */
void engine_lldt(struct vcpu *v, uint16_t selector) { helper_lldt_x86_64(v->guest, selector); }
void engine_ltr(struct vcpu *v, uint16_t selector) { __real_helper_ltr_x86_64(v->guest, selector); }
void engine_invlpg(struct vcpu *v, uint64_t va) { helper_invlpg_x86_64(v->guest, va); }
void engine_sysret(struct vcpu *v, unsigned size)
{
    __real_helper_sysret_x86_64(v->guest, size == 8 ? 2 : 1);
}
void engine_sysexit(struct vcpu *v, unsigned size)
{
    __real_helper_sysexit_x86_64(v->guest, size == 8 ? 2 : 1);
}
uint64_t engine_get_dr(struct vcpu *v, unsigned reg)
{
    return __real_helper_get_dr_x86_64(v->guest, (int)reg);
}
void engine_set_dr(struct vcpu *v, unsigned reg, uint64_t value)
{
    __real_helper_set_dr_x86_64(v->guest, (int)reg, value);
}
void engine_xsetbv(struct vcpu *v, uint32_t index, uint64_t value)
{
    helper_xsetbv_x86_64(v->guest, index, value);
}
void engine_set_cr0(struct vcpu *v, uint64_t value) { cpu_x86_update_cr0_x86_64(v->guest, (uint32_t)value); }
void engine_set_cr3(struct vcpu *v, uint64_t value) { tlb_write_cr3(v, value); }
void engine_set_cr4(struct vcpu *v, uint64_t value) { cpu_x86_update_cr4_x86_64(v->guest, (uint32_t)value); }

void engine_iret(struct vcpu *v, unsigned operand_size, uint64_t next_rip)
{
    int shift = operand_size == 8 ? 2 : operand_size == 4 ? 1 : 0;
    if (v->guest->hflags & HF_PE && !(v->guest->rflags & FLAG_VM))
        __real_helper_iret_protected_x86_64(v->guest, (uint32_t)shift, (int)next_rip);
    else
        helper_iret_real_x86_64(v->guest, shift);
}
