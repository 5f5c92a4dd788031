/*
 * Privileged instructions that straddle a page border, at every split: both pages present; the second page
 * absent, which is a #PF with CR2 at the border and then, once it is mapped, the same instruction; a tail
 * that changes by remapping; and straight code that runs into an absent page, which faults where it crosses
 * and not before.
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { FIRST = ALIASES, BORDER = ALIASES + PAGE, MAX_LENGTH = 15 };

struct insn {
    const char *name;
    uint8_t bytes[MAX_LENGTH];
    uint8_t length;
    bool varies; /* its result differs from run to run: only its completion is checked */
};

static const struct insn insns[] = {
    { "cpuid", { 0x0f, 0xa2 }, 2, false },
    { "rdtsc", { 0x0f, 0x31 }, 2, true },
    { "rdmsr", { 0x0f, 0x32 }, 2, false },
    { "wrmsr", { 0x0f, 0x30 }, 2, false },
    { "mov rax, cr0", { 0x0f, 0x20, 0xc0 }, 3, false },
    { "mov cr0, rbx", { 0x0f, 0x22, 0xc3 }, 3, false },
    { "mov rax, cr8", { 0x44, 0x0f, 0x20, 0xc0 }, 4, false },
    { "mov rax, dr7", { 0x0f, 0x21, 0xf8 }, 3, false },
    { "clts", { 0x0f, 0x06 }, 2, false },
    { "wbinvd", { 0x0f, 0x09 }, 2, false },
    { "smsw eax", { 0x0f, 0x01, 0xe0 }, 3, false },
    { "sgdt [rsi]", { 0x0f, 0x01, 0x06 }, 3, false },
    { "lidt [disp32]", { 0x0f, 0x01, 0x1c, 0x25, 0, 0, 0, 0 }, 8, false }, /* address filled in by main */
    { "invlpg [rsi+disp32]", { 0x0f, 0x01, 0xbe, 0, 0x10, 0, 0 }, 7, false },
    { "in al, 0x61", { 0xe4, 0x61 }, 2, true },
    { "out 0x80, al", { 0xe6, 0x80 }, 2, false },
    { "cs cs cs cs cs cs cs cs cs cs cs cs rex.w cpuid",
      { 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x48, 0x0f, 0xa2 }, 15,
      false },
    { "swapgs", { 0x0f, 0x01, 0xf8 }, 3, false },
    { "pause", { 0xf3, 0x90 }, 2, false },
    { "data16 cli", { 0x66, 0xfa }, 2, false },
};
enum { INSNS = sizeof(insns) / sizeof(insns[0]), LIDT_DISP = 4 };

static uint8_t first[PAGE] __attribute__((aligned(PAGE)));
static uint8_t second[2][PAGE] __attribute__((aligned(PAGE)));
static uint8_t straight[PAGE] __attribute__((aligned(PAGE)));
static uint8_t scratch[64];
static uint8_t idt_pointer[10] __attribute__((aligned(16)));
static struct frame fault;
static unsigned faults;

static bool map_second(struct frame *frame)
{
    uint64_t cr2;

    asm volatile("movq %%cr2, %0" : "=r"(cr2));
    if (cr2 != BORDER)
        return false;
    fault = *frame;
    faults++;
    map_page(BORDER, (uint64_t)second[0], PTE_RW);
    return true;
}

static struct regs arguments(void)
{
    struct regs regs = { .rcx = 0xc0000080, .rsi = (uint64_t)scratch };
    uint32_t low, high;

    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0000080));
    regs.rax = low;
    regs.rdx = high;
    asm volatile("movq %%cr0, %0" : "=r"(regs.rbx));
    return regs;
}

static bool same(const struct regs *a, const struct regs *b)
{
    return a->rax == b->rax && a->rbx == b->rbx && a->rcx == b->rcx && a->rdx == b->rdx && a->rsi == b->rsi;
}

/* The instruction, then `mov edi, 0x600d; ret`, with `split` bytes before the border. Returns its address. */
static void *place(const uint8_t *bytes, unsigned length, unsigned split)
{
    static const uint8_t tail[] = { 0xbf, 0x0d, 0x60, 0, 0, 0xc3 };

    copy_bytes(first + PAGE - split, bytes, split);
    copy_bytes(second[0], bytes + split, length - split);
    copy_bytes(second[0] + length - split, tail, sizeof(tail));
    return (void *)(uint64_t)(BORDER - split);
}

static bool runs(const struct insn *insn, const void *at, const struct regs *want)
{
    struct regs regs = arguments();

    return run_code(at, &regs) == NO_TRAP && (insn->varies || same(&regs, want)) && regs.rdi == 0x600d;
}

static void check(const struct insn *insn, const uint8_t *bytes)
{
    unsigned wrong_present = 0, wrong_absent = 0, wrong_frame = 0;
    struct regs want = arguments();

    run_code(put_code(straight, bytes, insn->length), &want);
    for (unsigned split = 1; split < insn->length; split++) {
        void *at = place(bytes, insn->length, split);

        map_page(BORDER, (uint64_t)second[0], PTE_RW);
        wrong_present += !runs(insn, at, &want);
        map_page(BORDER, 0, 0);
        faults = 0;
        wrong_absent += !runs(insn, at, &want);
        wrong_frame += faults != 1 || fault.rip != (uint64_t)at || (fault.error & ~0x10ull) != 0;
    }
    expect2(insn->name, "across present pages", wrong_present, 0);
    expect2(insn->name, "with the second page absent, then mapped", wrong_absent, 0);
    expect2(insn->name, "faults once at its first byte", wrong_frame, 0);
}

/* 0F at the end of a page; behind it, as the border page is remapped, CPUID's or RDMSR's second byte. */
static void remapped_tail(void)
{
    static const uint8_t tails[2][2] = { { 0x32, 0xc3 }, { 0xa2, 0xc3 } };
    struct regs want[2];
    unsigned wrong = 0;

    first[PAGE - 1] = 0x0f;
    for (unsigned i = 0; i < 200; i++) {
        struct regs regs = arguments();
        copy_bytes(second[i & 1], tails[i & 1], 2);
        map_page(BORDER, (uint64_t)second[i & 1], PTE_RW);
        run_code((void *)(uint64_t)(BORDER - 1), &regs);
        if (i < 2)
            want[i] = regs;
        wrong += !same(&regs, &want[i & 1]);
    }
    expect("remapped tail: rdmsr and cpuid differ", same(&want[0], &want[1]), false);
    expect("remapped tail: wrong of 200", wrong, 0);
}

/* The second page's bytes change in place: only the tail of the instruction is rewritten. */
static void rewritten_tail(void)
{
    static const uint8_t tails[2] = { 0x32, 0xa2 };
    struct regs want[2];
    unsigned wrong = 0;

    map_page(BORDER, (uint64_t)second[0], PTE_RW);
    second[0][1] = 0xc3;
    for (unsigned i = 0; i < 200; i++) {
        struct regs regs = arguments();
        copy_bytes(second[0], &tails[i & 1], 1);
        run_code((void *)(uint64_t)(BORDER - 1), &regs);
        if (i < 2)
            want[i] = regs;
        wrong += !same(&regs, &want[i & 1]);
    }
    expect("rewritten tail: wrong of 200", wrong, 0);
}

/*
 * INC EAX as often as there is room before an instruction that crosses the border with `split` bytes, or
 * begins at it: those before it have run when the fault comes, and it comes with the RIP of the one that
 * needs the page.
 */
static void run_into(const char *name, const uint8_t *bytes, unsigned length, unsigned split)
{
    static const uint8_t inc_eax[] = { 0xff, 0xc0 };
    uint8_t *at = place(bytes, length, split);
    struct regs regs = { 0 };
    unsigned incs = 0;

    for (unsigned back = split + 2; back < split + 60; back += 2, incs++)
        copy_bytes(first + PAGE - back, inc_eax, 2);
    map_page(BORDER, 0, 0);
    faults = 0;
    expect2(name, "runs", (uint64_t)run_code(at - 2 * incs, &regs), (uint64_t)NO_TRAP);
    expect2(name, "faults once", faults, 1);
    expect2(name, "with its own RIP", fault.rip, (uint64_t)at);
    expect2(name, "after those before it", fault.rax, incs);
    expect2(name, "and goes on", regs.rdi, 0x600d);
}

static void run_into_absent(void)
{
    static const uint8_t mov_ebx[] = { 0xbb, 1, 0, 0, 0 }, clts[] = { 0x0f, 0x06 }, nop[] = { 0x90 };

    run_into("mov ebx, 1 run into", mov_ebx, 5, 3);
    run_into("clts run into", clts, 2, 1);
    run_into("nop at the border run into", nop, 1, 0);
}

void main(void)
{
    uint32_t idt_address = (uint32_t)(uint64_t)idt_pointer;

    asm volatile("sidt %0" : "=m"(idt_pointer));
    map_page(FIRST, (uint64_t)first, PTE_RW);
    trap_set_hook(PF, map_second);
    for (unsigned i = 0; i < INSNS; i++) {
        uint8_t bytes[MAX_LENGTH];
        copy_bytes(bytes, insns[i].bytes, MAX_LENGTH);
        if (bytes[1] == 0x01 && bytes[2] == 0x1c)
            copy_bytes(bytes + LIDT_DISP, &idt_address, sizeof(idt_address));
        check(&insns[i], bytes);
    }
    remapped_tail();
    rewritten_tail();
    run_into_absent();
}
