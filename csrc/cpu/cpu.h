/* What the engine calls when the guest does something only the monitor can answer. One function per event;
 * `ra` is where in the translated block (engine/engine.h). A function that raises a guest fault does not
 * return. */
#ifndef VMK_CPU_CPU_H
#define VMK_CPU_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/guest.h"

struct vcpu;

/* What a rewritten instruction was translated as. OUT: the block continues; nothing is synchronised. SYSCALL
 * and HLT: rip and flags are current, the block ends; after HLT's nothing may return to it. IRET: the block
 * ends, nothing is synchronised, and the flags must be left in cc_src. */
enum trap_form { TRAP_AS_OUT, TRAP_AS_SYSCALL, TRAP_AS_HLT, TRAP_AS_IRET };

/* trap.c: a rewritten instruction was executed. */
void cpu_trap(struct vcpu *v, uint32_t site, uintptr_t ra, enum trap_form form);

/* interrupt.c */
bool cpu_safe_point(struct vcpu *v);     /* true: leave the block for the engine's main loop */
bool cpu_take_interrupt(
    struct vcpu *v); /* in the engine's interrupt window: deliver one, or say there is none */
void cpu_set_limit(struct vcpu *v);      /* when the next safe point is due */
void cpu_poll(struct vcpu *v);           /* with threads, in what takes long: is it due now? */
bool cpu_wakes(struct vcpu *v);          /* a halted vCPU has a reason to go on */
void cpu_exception(struct vcpu *v, unsigned vector);
void cpu_hlt(struct vcpu *v, unsigned length, uintptr_t ra);
void cpu_pause(struct vcpu *v, unsigned length, uintptr_t ra);
void cpu_mwait(struct vcpu *v, unsigned length, uintptr_t ra);
void cpu_monitor(struct vcpu *v, uint64_t address, uintptr_t ra);

/* io_insn.c: ports, with the IOPL and TSS bitmap check */
uint32_t cpu_port_read(struct vcpu *v, uint32_t port, unsigned size, uintptr_t ra);
void cpu_port_write(struct vcpu *v, uint32_t port, unsigned size, uint32_t value, uintptr_t ra);

/* mmio.c */
uint64_t cpu_mmio_read(struct vcpu *v, uint64_t gpa, unsigned size);
void cpu_mmio_write(struct vcpu *v, uint64_t gpa, unsigned size, uint64_t value);

/* cpuid.c, tsc.c, msr.c, syscall.c, control_regs.c */
void cpu_cpuid(struct vcpu *v, uintptr_t ra);
void cpu_rdtsc(struct vcpu *v, uintptr_t ra);
void cpu_rdtscp(struct vcpu *v, uintptr_t ra);
void cpu_rdpmc(struct vcpu *v, uintptr_t ra);
uint64_t cpu_tsc(struct vcpu *v);
uint64_t cpu_rdrand(struct vcpu *v);
void cpu_rdmsr(struct vcpu *v, uintptr_t ra);
void cpu_wrmsr(struct vcpu *v, uintptr_t ra);
void cpu_syscall(struct vcpu *v, unsigned length, uintptr_t ra);
void cpu_sysenter(struct vcpu *v, unsigned length, uintptr_t ra);
uint64_t cpu_read_cr(struct vcpu *v, unsigned reg);
void cpu_write_cr(struct vcpu *v, unsigned reg, uint64_t value, uintptr_t ra);

/* checks.c: what the engine's own bodies leave out; each raises the fault or returns. */
void cpu_check_dr(struct vcpu *v, uintptr_t ra);
uint64_t cpu_check_dr_write(struct vcpu *v, unsigned reg, uint64_t value,
                            uintptr_t ra); /* the value with its fixed bits */
void cpu_check_ltr(struct vcpu *v, uint16_t selector, uintptr_t ra);
void cpu_check_sysret(struct vcpu *v, bool long_mode, uintptr_t ra);
void cpu_check_sysexit(struct vcpu *v, bool long_mode, uintptr_t ra);

/* fault_insn.c: what kind of instruction is at guest->rip, which has just faulted. */
unsigned cpu_int1_length(struct vcpu *v); /* of INT1; 0: it is another */
bool cpu_uses_stack_segment(struct vcpu *v, uint64_t va); /* in 64-bit code: for its access to va */

/* 48 bits of linear address */
static inline bool cpu_canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/* What a fresh or reset vCPU's own registers hold. */
void cpu_power_on(struct vcpu *v);

#endif
