/*
 * TF: one #DB behind each instruction, whatever became of it: ordinary, continuing and block-ending
 * privileged ones, those that set or clear TF, one per element of a REP; and none for the instruction that
 * sets TF. Intel SDM vol. 3, 17.3.1.4. Leaves out the instruction behind MOV SS, for which processors differ.
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/trap.h"

enum { TF = 0x100, MAX_STEPS = 32, DR6_BS = 1 << 14 };

static uint64_t steps[MAX_STEPS], dr6s;
static unsigned count;

static bool on_step(struct frame *frame)
{
    uint64_t dr6;

    asm volatile("movq %%dr6, %0" : "=r"(dr6));
    asm volatile("movq %0, %%dr6" : : "r"(0ull));
    dr6s += dr6 >> 14 & 1;
    if (count < MAX_STEPS)
        steps[count++] = frame->rip;
    return true;
}

/* The instruction under test between the two that set and clear TF, with a label at each boundary. */
#define CASE(name, before, instruction, after)                                                               \
    void name(void);                                                                                         \
    extern const uint8_t name##_at[], name##_end[];                                                          \
    asm(".text\n" #name ": pushq %rbx; pushq %rbp; movl $0xc0000080, %ecx; rdmsr; movq %rsp, %rbp; " before  \
        "\n"                                                                                                 \
        "pushfq; orl $0x100, (%rsp); popfq\n" #name "_at: " instruction "\n" #name                           \
        "_end: pushfq; andl $~0x100, (%rsp); popfq\n" after "movq %rbp, %rsp; popq %rbp; popq %rbx; ret\n")

CASE(plain, "", "nop", "");
CASE(cpuid, "", "cpuid", "");
CASE(rdtsc, "", "rdtsc", "");
CASE(rdmsr, "", "rdmsr", "");
CASE(wrmsr, "", "wrmsr", "");
CASE(cli, "", "cli", "");
CASE(pushf, "", "pushfq", "");
CASE(pause, "", "pause", "");
CASE(mov_from_cr0, "", "movq %cr0, %rbx", "");
CASE(mov_to_cr0, "movq %cr0, %rbx;", "movq %rbx, %cr0", "");
CASE(mov_to_cr3, "movq %cr3, %rbx;", "movq %rbx, %cr3", "");
CASE(mov_to_cr8, "xorl %ebx, %ebx;", "movq %rbx, %cr8", "");
CASE(clts, "", "clts", "");
CASE(out_byte, "", "outb %al, $0x80", "");
CASE(in_byte, "", "inb $0x80, %al", "");
CASE(invlpg, "", "invlpg (%rsp)", "");
CASE(sgdt, "subq $16, %rsp;", "sgdt (%rsp)", "");
CASE(lidt, "subq $16, %rsp; sidt (%rsp);", "lidt (%rsp)", "");
CASE(wbinvd, "", "wbinvd", "");
CASE(swapgs, "", "swapgs", "swapgs; ");
CASE(popf_keeps, "pushq $0x102;", "popfq", "");
CASE(popf16_keeps, "pushw $0x102;", "popfw", "");

struct row {
    const char *name;
    void (*run)(void);
    const uint8_t *at, *end;
};
#define ROW(name) { #name, name, name##_at, name##_end }

static const struct row rows[] = {
    ROW(plain),  ROW(cpuid),    ROW(rdtsc),        ROW(rdmsr),        ROW(wrmsr),      ROW(cli),
    ROW(pushf),  ROW(pause),    ROW(mov_from_cr0), ROW(mov_to_cr0),   ROW(mov_to_cr3), ROW(mov_to_cr8),
    ROW(clts),   ROW(out_byte), ROW(in_byte),      ROW(invlpg),       ROW(sgdt),       ROW(lidt),
    ROW(wbinvd), ROW(swapgs),   ROW(popf_keeps),   ROW(popf16_keeps),
};

/* After the instruction, and after each of the three that clear TF: PUSHF, AND, POPF. */
static void check(const struct row *row)
{
    count = dr6s = 0;
    row->run();
    expect2(row->name, "steps", count, 4);
    expect2(row->name, "first step is behind it", steps[0], (uint64_t)row->end);
    expect2(row->name, "each sets DR6.BS", dr6s, count);
}

void iret_sets(void), iret_clears(void), rep_out(void);
extern const uint8_t iret_target[], iret_second[], iret_cleared[], rep_at[], rep_end[];
asm(".text\n"
    ".macro frame flags, to; movl %ss, %eax; movq %rsp, %rcx; pushq %rax; pushq %rcx; pushq \\flags; movl "
    "%cs, %eax;\n"
    "    pushq %rax; leaq \\to(%rip), %rax; pushq %rax; .endm\n"
    "iret_sets: frame $0x102, iret_target; iretq\n"
    "iret_target: nop; iret_second: pushfq; andl $~0x100, (%rsp); popfq; ret\n"
    "iret_clears: frame $0x2, iret_cleared; pushfq; orl $0x100, (%rsp); popfq; iretq; iret_cleared: nop; "
    "ret\n"
    "rep_out: movl $3, %ecx; movl $0x80, %edx; leaq iret_target(%rip), %rsi; pushfq; orl $0x100, (%rsp); "
    "popfq\n"
    "rep_at: rep outsb\n"
    "rep_end: pushfq; andl $~0x100, (%rsp); popfq; ret\n");

static void special(void)
{
    count = 0;
    iret_sets();
    expect("iretq that sets TF: steps", count, 4);
    expect("iretq that sets TF: one instruction of its target runs", steps[0], (uint64_t)iret_second);
    count = 0;
    iret_clears();
    expect("iretq that clears TF: steps", count, 1);
    expect("iretq that clears TF: at its target", steps[0], (uint64_t)iret_cleared);
    count = 0;
    rep_out();
    expect("rep outsb of 3: steps", count, 6);
    expect("rep outsb of 3: at it after the first", steps[0], (uint64_t)rep_at);
    expect("rep outsb of 3: at it after the second", steps[1], (uint64_t)rep_at);
    expect("rep outsb of 3: behind it after the third", steps[2], (uint64_t)rep_end);
}

void main(void)
{
    trap_set_hook(DB, on_step);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].run != pause ||
            !quirks_accepted()) /* TCG leaves its block at PAUSE and forgets the step */
            check(&rows[i]);
    special();
}
