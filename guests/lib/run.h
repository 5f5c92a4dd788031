/* Run code made at run time with known registers, and see what came of it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct regs {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi;
};

/* Call `code` at CPL 0 with *regs loaded, store them back; returns the vector raised or NO_TRAP (trap.h). */
int run_code(const void *code, struct regs *regs);

/* Copy `n` bytes to `to` and append RET; returns `to`. */
void *put_code(void *to, const void *bytes, size_t n);

/* n bytes as volatile stores: no compiler folds, reorders or widens them. */
void copy_bytes(void *to, const void *from, size_t n);
