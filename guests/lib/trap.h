/*
 * Exceptions and interrupts of a guest: record, hook, or come back.
 * An exception first asks the vector's hook; if there is none, or it declines, the exception is recorded in
 * `last_trap` and the innermost guarded() call returns its vector. Outside of guarded() it ends the guest
 * with a FAIL line.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum vector {
    DE, DB, NMI, BP, OF, BR, UD, NM, DF, TS = 10, NP, SS, GP, PF, MF = 16, AC, MC, XM, NO_TRAP = -1
};
enum { USER_EXIT = 0x80 }; /* INT 0x80 is open to CPL 3 and ends user_guarded() */

/* What vectors.S pushes and what the CPU pushed before it. */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct trap {
    struct frame frame;
    uint64_t cr2;
    uint64_t handler_rsp; /* address of the frame: tells which stack the CPU delivered on */
};

typedef bool trap_hook(struct frame *frame); /* true: handled, resume at frame->rip */

extern struct trap last_trap;

void trap_init(void);
void trap_load_idt(void); /* for further CPUs */
void trap_set_hook(unsigned vector, trap_hook *hook);
void trap_set_gate(unsigned vector, unsigned ist, unsigned dpl);
/* Make a vector's gate absent (or present again): an exception through it raises #NP. */
void trap_gate_present(unsigned vector, bool present);

/* Call fn(arg) at CPL 0; returns the vector it raised or NO_TRAP. RFLAGS and stack are put back. Nestable. */
int guarded(void (*fn)(void *), void *arg);
/* Run fn at CPL 3 with RFLAGS = flags | 2; returns the vector that ended it, USER_EXIT when it returned. */
int user_guarded(void (*fn)(void), uint64_t flags);
