/*
 * Loops with faults, traps, interrupts and self-modifying code, each of a known number of retired
 * instructions per round, so that a host with an exact counter can check it: with `scenario=K times=N` on the
 * command line only scenario K runs, N rounds, and two runs that differ in N alone differ by rounds x count.
 * Without, all run 20 rounds each and only have to come back. The counts are in the comments: body + handler.
 * An instruction that faults has not retired, and one that traps has. A REP counts once per element and once
 * more to see that there is none left: the engine enters it again for each.
 */
#include "../lib/cmdline.h"
#include "../lib/gdt.h"
#include "../lib/lapic.h"
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/trap.h"

enum { ABSENT = ALIASES, BORDER = ALIASES + 2 * PAGE, IPI = 0x72, ALL = ~0u };

/* A scenario's loop: R12 is the count, RBX absent memory, R13 the local APIC, R14 where the fetch handler
 * goes. */
#define SCENARIO(name, body) \
    void name(void); \
    asm(".text\n.balign 64\n" #name ": 1: " body "; decq %r12; jnz 1b; ret\n")

SCENARIO(empty, "");                                                              /* 2, in all below too */
SCENARIO(nops, "nop; nop; nop; nop; nop");                                        /* 5 */
SCENARIO(undefined, "nop; ud2; nop");                                             /* 2 + 2 */
SCENARIO(page_fault, "nop; movl (%rbx), %eax; nop");                              /* 2 + 3 */
SCENARIO(software_interrupt, "nop; int $0x70; nop");                              /* 3 + 1 */
SCENARIO(absent_gate, "nop; int $0x71; nop");                                     /* 2 + 3 */
SCENARIO(unknown_msr, "nop; movl $0x4b000000, %ecx; rdmsr; nop");                 /* 3 + 3 */
SCENARIO(bad_cr, "movq %cr0, %rax; btsq $40, %rax; movq %rax, %cr0; nop");        /* 3 + 4 */
SCENARIO(trapped, "xorl %eax, %eax; cpuid; nop; rdtsc; nop");                     /* 5 */
SCENARIO(ending, "cli; pushfq; popfq; movq %cr3, %rax; movq %rax, %cr3; nop");    /* 6 */
SCENARIO(own_block, "incb 2f+1(%rip); nop; 2: movb $0, %al; nop");                /* 4 */
SCENARIO(stepped, "pushfq; orl $0x100, (%rsp); popfq; nop; cpuid; pushfq; "
                  "andl $~0x100, (%rsp); popfq; nop");                            /* 9 + 5 */
SCENARIO(interrupted, "sti; movl $0x40072, 0x300(%r13); nop; nop; cli; nop");     /* 6 + 2 */
SCENARIO(rep_string, "movl $5, %ecx; leaq scratch(%rip), %rdi; rep stosb; nop");  /* 3 + 6 */
SCENARIO(waiting, "pause; nop");                                                  /* 2 */
SCENARIO(absent_code, "leaq 2f(%rip), %r14; movl $0x40001ffd, %eax; jmp *%rax; 2: nop"); /* 4, 3 nops + 3 */
SCENARIO(system_return, "leaq 2f(%rip), %rax; movl %ss, %ecx; pushq %rcx; leaq 8(%rsp), %rcx; pushq %rcx; "
                        "pushfq; pushq $0x08; pushq %rax; iretq; 2: nop");        /* 10 */

uint8_t scratch[64];

void after_two(void), after_two_error(void), after_three_error(void), at_once(void), acknowledge(void),
    leave_fetch(void);
asm(".text\n"
    "after_two: addq $2, (%rsp); iretq\n"
    "after_two_error: addq $8, %rsp; addq $2, (%rsp); iretq\n"
    "after_three_error: addq $8, %rsp; nop; addq $3, (%rsp); iretq\n"
    "at_once: iretq\n"
    "acknowledge: movl $0, 0xb0(%r13); iretq\n"
    "leave_fetch: addq $8, %rsp; movq %r14, (%rsp); iretq\n");

struct handler {
    unsigned vector;
    void (*entry)(void);
};

static const struct scenario {
    const char *name;
    void (*loop)(void);
    struct handler handler;
} scenarios[] = {
    { "empty", empty },
    { "nops", nops },
    { "undefined", undefined, { UD, after_two } },
    { "page fault", page_fault, { PF, after_two_error } },
    { "software interrupt", software_interrupt, { 0x70, at_once } },
    { "absent gate", absent_gate, { NP, after_two_error } },
    { "unknown MSR", unknown_msr, { GP, after_two_error } },
    { "bad CR0", bad_cr, { GP, after_three_error } },
    { "trapped", trapped },
    { "ending the block", ending },
    { "own block rewritten", own_block },
    { "single-stepped", stepped, { DB, at_once } },
    { "interrupted", interrupted, { IPI, acknowledge } },
    { "string", rep_string },
    { "waiting", waiting },
    { "absent code", absent_code, { PF, leave_fetch } },
    { "interrupt return", system_return },
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

/* The library's gates lead to its own entries, which are C: the scenarios' handlers have counts that are
 * known. */
static void set_gate(const struct handler *handler)
{
    struct pointer idt;
    uint64_t *gate, entry = (uint64_t)handler->entry;

    asm volatile("sidt %0" : "=m"(idt));
    gate = (uint64_t *)idt.base + handler->vector * 2;
    gate[0] = (gate[0] & 0x0000fffffffe0000) | (gate[0] & 0xffff0000) | (entry & 0xffff) |
              (entry & 0xffff0000) << 32;
    gate[1] = entry >> 32;
}

static void run(const struct scenario *scenario, uint64_t rounds)
{
    if (scenario->handler.entry)
        set_gate(&scenario->handler);
    asm volatile("movq %[rounds], %%r12; movl %[absent], %%ebx; movl $0xfee00000, %%r13d; callq *%[loop]"
                 :
                 : [rounds] "r"(rounds + 1), [absent] "i"(ABSENT), [loop] "r"(scenario->loop)
                 : "rax", "rbx", "rcx", "rdx", "rdi", "r12", "r13", "r14", "memory", "cc");
    expect(scenario->name, 0, 0);
}

void main(void)
{
    static uint8_t page[PAGE] __attribute__((aligned(PAGE)));
    unsigned only = cmdline_number("scenario=", ALL), rounds = cmdline_number("times=", 20);

    for (unsigned i = 1; i <= 3; i++)
        page[PAGE - i] = 0x90;
    map_page(ABSENT, 0, 0);
    map_page(BORDER - PAGE, (uint64_t)page, PTE_RW);
    map_page(BORDER, 0, 0);
    trap_gate_present(0x71, false);
    lapic_enable();
    asm volatile("cli");
    for (unsigned i = 0; i < SCENARIOS; i++)
        if (only == ALL || only == i)
            run(&scenarios[i], rounds);
}
