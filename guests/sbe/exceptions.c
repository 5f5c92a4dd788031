/*
 * Every exception that software can raise in 64-bit mode, from CPL 0 and CPL 3, with its whole frame: vector,
 * error code, RIP (faults: the instruction, traps: the one behind it), CS, SS, RSP, CR2; the two that need
 * 32-bit code; NMI; then stacks, nesting and double faults (Intel SDM vol. 3, 6.7 and 6.12 to 6.15).
 * Leaves out #AC and #XM, which no engine of QEMU's family raises, #MC, and #TS, to which 64-bit mode has no
 * way but a TSS too short to deliver it.
 */
#include "../lib/gdt.h"
#include "../lib/lapic.h"
#include "../lib/msr.h"
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/trap.h"

enum { ABSENT = ALIASES, READ_ONLY = ALIASES + PAGE };
enum { SUPERVISOR = ALIASES + 2 * PAGE, RESERVED = ALIASES + 3 * PAGE };
enum { NOT_PRESENT_SELECTOR = SPARE_SELECTOR, PRESENT = 1, WRITE = 2, USER = 4, RSVD = 8 };
enum { IDT_ENTRY = 2, EXTERNAL = 1, TF = 0x100 };

static uint8_t frames[8][PAGE] __attribute__((aligned(PAGE)));

/* A raiser is assembler: its instruction between two labels, which the row names too. */
#define RAISER(name, before, instruction) \
    void name(void); \
    extern const uint8_t name##_at[], name##_end[]; \
    asm(".text\n" #name ": " before "\n" #name "_at: " instruction "\n" #name "_end: ret\n")

RAISER(divide, "xorl %edx, %edx; xorl %ecx, %ecx", "divl %ecx");
RAISER(divide_overflow, "movl $2, %edx; movl $1, %ecx", "divl %ecx");
RAISER(icebp, "", ".byte 0xf1");
RAISER(breakpoint, "", "int3");
RAISER(int_3, "", ".byte 0xcd, 3");
RAISER(int_4, "", "int $4");
RAISER(undefined, "", "ud2");
RAISER(push_es, "", ".byte 0x06");
RAISER(fpu_off, "", "fldz");
RAISER(segment_absent, "movl $0x60, %eax", "movl %eax, %ds");
RAISER(stack_absent, "movl $0x60, %eax", "movl %eax, %ss");
RAISER(stack_noncanonical, "movq %rsp, %rdx; movabsq $0x8000000000000000, %rbp", "movq (%rbp), %rax");
RAISER(noncanonical, "movabsq $0x8000000000000000, %rax", "movq (%rax), %rax");
RAISER(null_stack, "xorl %eax, %eax", "movl %eax, %ss");
RAISER(beyond_gdt, "movl $0x1000, %eax", "movl %eax, %ds");
RAISER(int_absent, "", "int $0x70");
RAISER(read_absent, "movl $0x40000123, %eax", "movl (%rax), %eax");
RAISER(write_absent, "movl $0x40000123, %eax", "movl %eax, (%rax)");
RAISER(write_read_only, "movl $0x40001008, %eax", "movl %eax, (%rax)");
RAISER(rmw_read_only, "movl $0x40001008, %eax", "incl (%rax)");
RAISER(read_supervisor, "movl $0x40002004, %eax", "movl (%rax), %eax");
RAISER(write_supervisor, "movl $0x40002004, %eax", "movl %eax, (%rax)");
RAISER(read_reserved, "movl $0x40003000, %eax", "movl (%rax), %eax");
RAISER(fpu_error, "fninit; pushq $0x37b; fldcw (%rsp); popq %rax; fldz; fld1; fdivp %st, %st(1)", "fwait");
RAISER(privileged_cli, "", "cli");
RAISER(privileged_hlt, "", "hlt");
RAISER(privileged_cr, "", "movq %cr0, %rax");
RAISER(int_dpl0, "", "int $0x71");
RAISER(step, "pushfq; orq $0x100, (%rsp); popfq", "nop");

/* The same in compatibility mode, at CPL 0; what it does not raise ends in HLT. */
#define RAISER32(name, before, instruction) \
    void name(void); \
    extern const uint8_t name##_at[], name##_end[]; \
    asm(".text\n" #name ": pushq $0x38; pushq $" #name "_32; lretq; .code32\n" #name "_32: " before "\n" \
        #name "_at: " instruction "\n" #name "_end: hlt; .code64\n")

RAISER32(into, "movl $0x7fffffff, %eax; incl %eax", "into");
RAISER32(bound, "pushl $5; pushl $1; movl $9, %eax", "boundl %eax, (%esp)");
RAISER32(undefined32, "", "ud2");

enum kind { FAULT, TRAP };

struct row {
    const char *name;
    void (*raise)(void);
    const uint8_t *at, *end;
    int vector;
    enum kind kind;
    uint64_t error, cr2;   /* cr2 0: not looked at */
    int tcg_vector;        /* TCG's own answer where it is known to be wrong, see expect_or_quirk() */
    uint64_t tcg_error;
};

/*
 * TCG has no ICEBP, takes every non-canonical access for #GP, counts gates as 16 bytes in error codes and
 * forgets P beside RSVD.
 */
#define ROW(title, raiser, ...) { title, raiser, raiser##_at, raiser##_end, __VA_ARGS__ }

static const struct row kernel_rows[] = {
    ROW("#DE by zero", divide, DE, FAULT, 0, 0),
    ROW("#DE by overflow", divide_overflow, DE, FAULT, 0, 0),
    ROW("#DB by TF", step, DB, TRAP, 0, 0),
    ROW("#DB by ICEBP", icebp, DB, TRAP, 0, 0, UD, 0),
    ROW("#BP by int3", breakpoint, BP, TRAP, 0, 0),
    ROW("#BP by int 3", int_3, BP, TRAP, 0, 0),
    ROW("#OF by int 4", int_4, OF, TRAP, 0, 0),
    ROW("#UD by ud2", undefined, UD, FAULT, 0, 0),
    ROW("#UD by push es", push_es, UD, FAULT, 0, 0),
    ROW("#NM by CR0.TS", fpu_off, NM, FAULT, 0, 0),
    ROW("#NP by mov ds", segment_absent, NP, FAULT, NOT_PRESENT_SELECTOR, 0),
    ROW("#SS by mov ss", stack_absent, SS, FAULT, NOT_PRESENT_SELECTOR, 0),
    ROW("#SS by non-canonical rbp", stack_noncanonical, SS, FAULT, 0, 0, GP, 0),
    ROW("#GP by non-canonical rax", noncanonical, GP, FAULT, 0, 0),
    ROW("#GP by selector beyond the GDT", beyond_gdt, GP, FAULT, 0x1000, 0),
    ROW("#NP by absent gate", int_absent, NP, FAULT, 0x70 * 8 + IDT_ENTRY, 0, NP, 0x70 * 16 + IDT_ENTRY),
    ROW("#PF read absent", read_absent, PF, FAULT, 0, ABSENT + 0x123),
    ROW("#PF write absent", write_absent, PF, FAULT, WRITE, ABSENT + 0x123),
    ROW("#PF write read-only", write_read_only, PF, FAULT, PRESENT | WRITE, READ_ONLY + 8),
    ROW("#PF read-modify-write read-only", rmw_read_only, PF, FAULT, PRESENT | WRITE, READ_ONLY + 8),
    ROW("#PF reserved bit", read_reserved, PF, FAULT, PRESENT | RSVD, RESERVED, PF, RSVD),
    ROW("#MF by fwait", fpu_error, MF, FAULT, 0, 0),
};

static const struct row user_rows[] = {
    ROW("#DE by zero", divide, DE, FAULT, 0, 0),
    ROW("#DB by TF", step, DB, TRAP, 0, 0),
    ROW("#DB by ICEBP", icebp, DB, TRAP, 0, 0, UD, 0),
    ROW("#BP by int3", breakpoint, BP, TRAP, 0, 0),
    ROW("#OF by int 4", int_4, OF, TRAP, 0, 0),
    ROW("#UD by ud2", undefined, UD, FAULT, 0, 0),
    ROW("#NM by CR0.TS", fpu_off, NM, FAULT, 0, 0),
    ROW("#SS by non-canonical rbp", stack_noncanonical, SS, FAULT, 0, 0, GP, 0),
    ROW("#GP by null ss", null_stack, GP, FAULT, 0, 0),
    ROW("#GP by non-canonical rax", noncanonical, GP, FAULT, 0, 0),
    ROW("#GP by cli", privileged_cli, GP, FAULT, 0, 0),
    ROW("#GP by hlt", privileged_hlt, GP, FAULT, 0, 0),
    ROW("#GP by mov from cr0", privileged_cr, GP, FAULT, 0, 0),
    ROW("#GP by int through a gate of DPL 0", int_dpl0, GP, FAULT, 0x71 * 8 + IDT_ENTRY, 0, GP,
        0x71 * 16 + IDT_ENTRY),
    ROW("#PF read absent", read_absent, PF, FAULT, USER, ABSENT + 0x123),
    ROW("#PF write absent", write_absent, PF, FAULT, USER | WRITE, ABSENT + 0x123),
    ROW("#PF write read-only", write_read_only, PF, FAULT, USER | PRESENT | WRITE, READ_ONLY + 8),
    ROW("#PF read supervisor", read_supervisor, PF, FAULT, USER | PRESENT, SUPERVISOR + 4),
    ROW("#PF write supervisor", write_supervisor, PF, FAULT, USER | PRESENT | WRITE, SUPERVISOR + 4),
    ROW("#MF by fwait", fpu_error, MF, FAULT, 0, 0),
};
static const struct row compatibility_rows[] = {
    ROW("#OF by into", into, OF, TRAP, 0, 0),
    ROW("#BR by bound", bound, BR, FAULT, 0, 0),
    ROW("#UD by ud2", undefined32, UD, FAULT, 0, 0),
};

enum { KERNEL_ROWS = sizeof(kernel_rows) / sizeof(kernel_rows[0]) };
enum { USER_ROWS = sizeof(user_rows) / sizeof(user_rows[0]) };

static void set_ts(bool on)
{
    write_cr0((read_cr0() & ~(uint64_t)CR0_TS) | (on ? CR0_TS : 0));
}

static void call_raiser(void *arg)
{
    ((const struct row *)arg)->raise();
}

/* The vector that a raiser raises at CPL 0. */
static uint64_t raised_by(void (*raise)(void))
{
    return (uint64_t)guarded(call_raiser, &(struct row){ .raise = raise });
}

struct field {
    const char *name;
    uint64_t got, want;
};

static bool is_known_quirk(const struct row *row, const struct field *vector_and_error)
{
    return quirks_accepted() && row->tcg_vector && vector_and_error[0].got == (uint64_t)row->tcg_vector &&
           vector_and_error[1].got == row->tcg_error;
}

/* One line per row: the first field that differs, or ok. */
static void report_fields(const char *group, const struct row *row, const struct field *fields, unsigned n)
{
    if (is_known_quirk(row, fields))
        n = 0;
    for (unsigned i = 0; i < n; i++)
        if (fields[i].got != fields[i].want) {
            expect2(row->name, fields[i].name, fields[i].got, fields[i].want);
            return;
        }
    expect2(group, row->name, 0, 0);
}

static void check(const char *group, const struct row *row, int vector, uint16_t cs, uint16_t ss,
                  uint64_t stack_top)
{
    const struct frame *frame = &last_trap.frame;
    const struct field fields[] = {
        { "vector", (uint64_t)vector, (uint64_t)row->vector },
        { "error code", frame->error, row->error },
        { "rip", frame->rip, (uint64_t)(row->kind == FAULT ? row->at : row->end) },
        { "cs", frame->cs, cs },
        { "ss", frame->ss, ss },
        { "rsp", frame->rsp, stack_top ? stack_top : frame->rsp },
        { "cr2", row->cr2 ? last_trap.cr2 : 0, row->cr2 },
        { "TF in the frame", frame->rflags & TF, row->raise == step ? TF : 0 },
    };

    report_fields(group, row, fields, sizeof(fields) / sizeof(fields[0]));
}

extern uint8_t user_stack_top[];

static void run_rows(void)
{
    for (unsigned i = 0; i < KERNEL_ROWS; i++) {
        const struct row *row = &kernel_rows[i];
        set_ts(row->raise == fpu_off);
        check("CPL 0", row, guarded(call_raiser, (void *)row), KERNEL_CS, KERNEL_DS, 0);
    }
    for (unsigned i = 0; i < USER_ROWS; i++) {
        const struct row *row = &user_rows[i];
        set_ts(row->raise == fpu_off);
        check("CPL 3", row, user_guarded(row->raise, 0), USER_CS + 3, USER_DS + 3,
              (uint64_t)user_stack_top - 8);
    }
}

static void run_compatibility_rows(void)
{
    for (unsigned i = 0; i < sizeof(compatibility_rows) / sizeof(compatibility_rows[0]); i++) {
        const struct row *row = &compatibility_rows[i];
        check("compatibility mode", row, guarded(call_raiser, (void *)row), KERNEL_CS32, KERNEL_DS, 0);
    }
}

/* NMI ignores IF, and a second one waits for the IRET of the first. */
static volatile unsigned nmis, nmi_depth, nmi_deepest;

static void send_nmi(void)
{
    enum { TO_SELF = 1 << 18, ASSERT = 1 << 14, DELIVER_NMI = 4 << 8 };

    lapic_write(LAPIC_ICR, TO_SELF | ASSERT | DELIVER_NMI);
}

static bool on_nmi(struct frame *frame)
{
    (void)frame;
    if (++nmi_depth > nmi_deepest)
        nmi_deepest = nmi_depth;
    if (++nmis == 1) {
        send_nmi();
        asm volatile("nop; nop; nop");
    }
    nmi_depth--;
    return true;
}

static void non_maskable(void)
{
    trap_set_hook(NMI, on_nmi);
    lapic_enable();
    asm volatile("cli");
    send_nmi();
    asm volatile("nop; nop; nop");
    expect("NMI with IF = 0, and one sent by its handler", nmis, 2);
    expect("NMI in NMI waits for IRET", nmi_deepest, 1);
}

static bool on_stack(uint64_t top)
{
    return last_trap.handler_rsp < top && last_trap.handler_rsp >= top - 512;
}

static void stacks(void)
{
    user_guarded(undefined, 0);
    expect("CPL 3 to 0 switches to RSP0", on_stack(tss.rsp[0]), 1);
    trap_set_gate(UD, 1, 0);
    user_guarded(undefined, 0);
    expect("IST1 from CPL 3", on_stack(tss.ist[0]), 1);
    raised_by(undefined);
    expect("IST1 from CPL 0", on_stack(tss.ist[0]), 1);
    trap_set_gate(UD, 2, 0);
    raised_by(undefined);
    expect("IST2 from CPL 0", on_stack(tss.ist[1]), 1);
    trap_set_gate(UD, 0, 0);
}

/* A #PF whose handler faults itself; both pages are then mapped and both instructions complete. */
static volatile unsigned faults, used, depth, deepest; /* volatile: the hook re-enters itself at its store */

static bool map_on_demand(struct frame *frame)
{
    uint64_t cr2;

    (void)frame;
    asm volatile("movq %%cr2, %0" : "=r"(cr2));
    if (used == sizeof(frames) / sizeof(frames[0]))
        return false;
    faults++;
    if (++depth > deepest)
        deepest = depth;
    if (faults < 5)
        *(volatile uint8_t *)(cr2 + PAGE) = (uint8_t)faults;
    map_page(cr2 & ~(PAGE - 1ull), (uint64_t)frames[used++], PTE_RW);
    depth--;
    return true;
}

static void nested(void)
{
    volatile uint8_t *chain = (uint8_t *)(uint64_t)(ALIASES + 0x100000);

    for (unsigned i = 0; i < 8; i++)
        map_page((uint64_t)chain + i * PAGE, 0, 0);
    trap_set_hook(PF, map_on_demand);
    *chain = 0x77;
    trap_set_hook(PF, 0);
    expect("nested #PF: five faults for one store", faults, 5);
    expect("nested #PF: five deep", deepest, 5);
    expect("nested #PF: the store of the outermost arrived", *chain, 0x77);
    expect("nested #PF: the store of the innermost handler arrived", chain[4 * PAGE], 4);
}

/* What becomes of a second exception while the first is delivered, by class (SDM table 6-5). */
static void double_faults(void)
{
    trap_set_gate(DF, 1, 0);
    trap_gate_present(PF, false);
    expect("#PF without a gate: #DF", raised_by(read_absent), DF);
    expect("#DF has error code 0", last_trap.frame.error, 0);
    expect("#DF runs on its IST", on_stack(tss.ist[0]), 1);
    trap_gate_present(PF, true);
    trap_gate_present(DE, false);
    expect("#DE without a gate: #DF", raised_by(divide), DF);
    trap_gate_present(DE, true);
    trap_gate_present(UD, false);
    expect("#UD without a gate: #NP", raised_by(undefined), NP);
    /* TCG leaves out EXT, which says that an earlier exception was being delivered. */
    expect_or_quirk("#NP error code is the gate", "with EXT", last_trap.frame.error,
                    UD * 8 + IDT_ENTRY + EXTERNAL, UD * 16 + IDT_ENTRY);
    trap_gate_present(UD, true);
    expect("#UD afterwards", raised_by(undefined), UD);
    expect("#PF afterwards", raised_by(read_absent), PF);
}

void main(void)
{
    gdt[NOT_PRESENT_SELECTOR / 8] = 0x00cf13000000ffff; /* data, DPL 0, absent */
    trap_gate_present(0x70, false);
    trap_set_gate(BP, 0, 3);
    trap_set_gate(OF, 0, 3);
    trap_set_gate(DB, 0, 3);
    map_page(ABSENT, 0, 0);
    map_page(READ_ONLY, (uint64_t)frames[0], PTE_PRESENT | PTE_USER);
    map_page(SUPERVISOR, (uint64_t)frames[0], PTE_PRESENT | PTE_WRITE);
    map_page(RESERVED, (uint64_t)frames[0], PTE_RW | 1ull << 51);
    write_cr0((read_cr0() | CR0_NE) & ~(uint64_t)CR0_EM);
    run_rows();
    run_compatibility_rows();
    non_maskable();
    stacks();
    nested();
    double_faults();
}
