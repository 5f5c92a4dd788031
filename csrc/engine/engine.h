/* The guest CPU: one Unicorn engine per vCPU.
 *
 * Owns creation, running, stopping, and what a trap handler may do to the CPU it interrupted. Only this
 * folder knows Unicorn.
 *
 * `ra` in what follows is the return address of the wrapped helper (or trap) on whose behalf the call is
 * made: a point inside the translated block. Functions that may raise a guest fault need it to find the
 * faulting instruction; they do not return then. 0 means that guest->rip is already right. */
#ifndef VMK_ENGINE_ENGINE_H
#define VMK_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;
struct vcpu;

/* Refuses any engine but the pinned one: version, register layout, exception delivery. 0, or VMK_EENGINE with
 * one line in err. */
int engine_selfcheck(char *err, size_t errlen);

/* Opens an engine whose physical memory is the board's RAM and ROM, everything else MMIO. */
int engine_create(struct vcpu *v, char *err, size_t errlen);
void engine_destroy(struct vcpu *v);

/* INIT or power-on state, real mode at F000:FFF0. */
void engine_reset(struct vcpu *v);

enum engine_exit { ENGINE_STOPPED, ENGINE_HALTED, ENGINE_TRIPLE_FAULT, ENGINE_FAILED };

/* Runs from guest->rip until the safe point asks to stop, HLT, or a triple fault. Between runs rip and all
 * flags are current. */
enum engine_exit engine_run(struct vcpu *v, char *err, size_t errlen);

/* On the thread that runs the vCPU: have the safe point run at the first block start at or past this count.
 */
void engine_set_limit(struct vcpu *v, uint64_t limit);

/* On the thread that runs the vCPU: have the safe point run at the next block start. */
void engine_kick(struct vcpu *v);

/* At a safe point: the engine returns from engine_run at the next block start. */
void engine_stop(struct vcpu *v);

/* In the safe point, called from a block start: go to the engine's main loop (delivers interrupts, honours
 * engine_stop) before the block runs. Does not return. */
void engine_leave_block(struct vcpu *v, uintptr_t ra) __attribute__((noreturn));

/* In a trap: the instruction is finished (guest->rip and flags set, see engine_sync); go on at guest->rip in
 * a new block. */
void engine_resume_at(struct vcpu *v) __attribute__((noreturn));

/* The same where TF was set as the instruction began: its single-step #DB comes first. */
void engine_single_step(struct vcpu *v) __attribute__((noreturn));

/* In HLT (guest->rip behind it): engine_run returns ENGINE_HALTED. */
void engine_halt(struct vcpu *v) __attribute__((noreturn));

/* A trap is about to leave its block behind the instruction at `ra`: the block's remaining instructions do
 * not count. */
void engine_finish_instruction(struct vcpu *v, uintptr_t ra);

/* Have the engine's main loop look for a deliverable interrupt as soon as its window opens. */
void engine_want_interrupt(struct vcpu *v, bool want);

/* Deliver through the guest's IDT. The interrupt forms are called from the engine's interrupt window only. */
void engine_interrupt(struct vcpu *v, int vector);
void engine_raise(struct vcpu *v, int vector, int error, uintptr_t ra) __attribute__((noreturn));

/* Make guest->rip and the lazy flags current for the instruction that contains `ra`. */
void engine_sync(struct vcpu *v, uintptr_t ra);
uint64_t engine_flags(struct vcpu *v);
void engine_set_flags(struct vcpu *v, uint64_t flags);

/* Guest-linear memory with the guest's rights. */
uint64_t engine_load(struct vcpu *v, uint64_t va, unsigned size, uintptr_t ra);
void engine_store(struct vcpu *v, uint64_t va, unsigned size, uint64_t value, uintptr_t ra);
/* A supervisor read whatever the CPL: descriptor tables and the TSS. */
uint16_t engine_load16_kernel(struct vcpu *v, uint64_t va, uintptr_t ra);

/* Guest-physical address of a linear one by the CPU's current tables, without side effects; false: not
 * mapped. */
bool engine_peek(struct vcpu *v, uint64_t va, uint64_t *gpa);

/* Control registers with the engine's side effects (TLB, hidden flags). */
void engine_set_cr0(struct vcpu *v, uint64_t value);
void engine_set_cr3(struct vcpu *v, uint64_t value);
void engine_set_cr4(struct vcpu *v, uint64_t value);

/* Forget cached translations of addresses. */
void engine_flush_tlb(struct vcpu *v);

/* RAM page `page` is about to be changed from outside this engine's own stores. */
void engine_forget_code(struct vcpu *v, uint64_t page);

/* The engine's own bodies of instructions that a full profile traps first. */
void engine_lldt(struct vcpu *v, uint16_t selector);
void engine_ltr(struct vcpu *v, uint16_t selector);
void engine_invlpg(struct vcpu *v, uint64_t va);
void engine_iret(struct vcpu *v, unsigned operand_size, uint64_t next_rip);
void engine_sysret(struct vcpu *v, unsigned operand_size);
void engine_sysexit(struct vcpu *v, unsigned operand_size);
uint64_t engine_get_dr(struct vcpu *v, unsigned reg);
void engine_set_dr(struct vcpu *v, unsigned reg, uint64_t value);
void engine_xsetbv(struct vcpu *v, uint32_t index, uint64_t value);

#endif
