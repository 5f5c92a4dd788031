/* A trap: a rewritten instruction reached the monitor. The emulations of each family are in emulate_*.c. */
#ifndef VMK_CPU_TRAP_H
#define VMK_CPU_TRAP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/vcpu.h"
#include "engine/engine.h"
#include "vmk_sbe.h"

struct trap {
    struct vcpu *v;
    struct guest *g;
    const struct sbe_site *site;
    const struct sbe_operand *op;
    uintptr_t ra;
    uint64_t next_rip; /* behind the instruction; a handler that goes elsewhere changes it */
    uint64_t flags_before; /* without the arithmetic flags */
    bool again;        /* execute the same instruction once more (a long REP) */
};

typedef void trap_handler(struct trap *t);

/* One per row of the instruction table that may trap. */
trap_handler trap_cpuid, trap_rdtsc, trap_rdtscp, trap_rdpmc, trap_rdmsr, trap_wrmsr, trap_undefined, trap_xsetbv, trap_xgetbv,
    trap_mov_from_cr, trap_mov_to_cr, trap_clts, trap_lmsw, trap_smsw, trap_mov_from_dr, trap_mov_to_dr, trap_in, trap_out,
    trap_ins, trap_outs, trap_cli, trap_sti, trap_pushf, trap_popf, trap_hlt, trap_pause, trap_lgdt, trap_lidt, trap_sgdt, trap_sidt,
    trap_lldt, trap_sldt, trap_ltr, trap_str, trap_iret, trap_syscall, trap_sysenter, trap_sysret, trap_sysexit, trap_swapgs,
    trap_fsgsbase, trap_smap, trap_invlpg, trap_nothing, trap_vmcall;

/* Linear address of the memory operand; its value; the register operand at the operand's size. */
uint64_t trap_address(const struct trap *t);
uint64_t trap_reg(const struct trap *t, unsigned reg, unsigned size);
void trap_set_reg(struct trap *t, unsigned reg, unsigned size, uint64_t value);
uint64_t trap_read_rm(struct trap *t, unsigned size);
void trap_write_rm(struct trap *t, unsigned size, uint64_t value);

void trap_gp(struct trap *t) __attribute__((noreturn));
void trap_ud(struct trap *t) __attribute__((noreturn));

/* Around a call of the engine's own body of an instruction, which raises faults without a return address. */
void trap_enter_native(struct trap *t);
void trap_leave_native(struct trap *t);

#endif
