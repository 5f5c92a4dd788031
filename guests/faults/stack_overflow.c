/*
 * Dies of a stack overflow: endless recursion meets an absent guard page; #PF finds no stack, #DF neither,
 * and that is a triple fault. The IDT is intact and no gate has an IST, as in a kernel that never thought of
 * it.
 */
#include "../lib/paging.h"
#include "fault.h"

enum { GUARD = ALIASES, STACK_TOP = ALIASES + 4 * PAGE };

static uint8_t stack[3 * PAGE] __attribute__((aligned(PAGE)));

void recurse(void);
asm(".text\nrecurse: subq $120, %rsp\n call recurse\n");

void main(void)
{
    map_page(GUARD, 0, 0);
    for (uint64_t i = 0; i < 3; i++)
        map_page(GUARD + (i + 1) * PAGE, (uint64_t)stack + i * PAGE, PTE_RW);
    last_words("stack overflow");
    asm volatile("movq %0, %%rsp; jmp recurse" : : "r"((uint64_t)STACK_TOP));
}
