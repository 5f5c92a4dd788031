/*
 * Jumps into the middle of an instruction whose tail is another valid instruction, mostly a privileged one:
 * outer, inner, and outer again from the same bytes, each at its own alignment.
 */
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { IF = 0x200, LMA = 0x400, PE = 1, START_RAX = 0x5a, ROUNDS = 100 };

/* What a run must show: RAX where the mask has ones, and IF. IF is 0 at entry, the PIC is masked. */
struct outcome {
    uint64_t rax, mask, flag;
};

/* Both ways through the bytes end in `pushfq; pop rsi`, so that IF shows, and RET; RCX is EFER's number. */
struct overlap {
    const char *name;
    uint8_t bytes[12];
    uint8_t length, at; /* `at`: offset of the inner instruction */
    struct outcome outer, inner;
};

#define ALL (~0ull)
#define ANY { 0, 0, 0 }
#define UNTOUCHED { START_RAX, ALL, 0 }
#define ENABLED { START_RAX, ALL, IF }

static const struct overlap overlaps[] = {
    { "mov eax, imm32 / cpuid", { 0xb8, 0x0f, 0xa2, 0x90, 0x90 }, 5, 1, { 0x9090a20f, ALL, 0 }, ANY },
    { "mov eax, imm32 / rdmsr", { 0xb8, 0x0f, 0x32, 0x90, 0x90 }, 5, 1, { 0x9090320f, ALL, 0 },
      { LMA, LMA, 0 } },
    { "mov eax, imm32 / mov rax, cr0", { 0xb8, 0x0f, 0x20, 0xc0, 0x90 }, 5, 1, { 0x90c0200f, ALL, 0 },
      { PE, PE, 0 } },
    { "mov eax, imm32 / sti", { 0xb8, 0xfb, 0x90, 0x90, 0x90 }, 5, 1, { 0x909090fb, ALL, 0 }, ENABLED },
    { "mov eax, imm32 / in al, 0x80", { 0xb8, 0xe4, 0x80, 0x90, 0x90 }, 5, 1, { 0x909080e4, ALL, 0 }, ANY },
    { "mov rax, imm64 / mov rax, cr8", { 0x48, 0xb8, 1, 2, 3, 0x44, 0x0f, 0x20, 0xc0, 0x90 }, 10, 5,
      { 0x90c0200f44030201, ALL, 0 }, { 0, ALL, 0 } },
    { "out 0xfb, ax / sti", { 0x66, 0xe7, 0xfb, 0x90 }, 4, 2, UNTOUCHED, ENABLED },
    { "in al, 0xfb / sti", { 0xe4, 0xfb, 0x90 }, 3, 1, ANY, ENABLED },
    { "gs mov rax, cr0 / without its prefix", { 0x65, 0x0f, 0x20, 0xc0 }, 4, 1, { PE, PE, 0 },
      { PE, PE, 0 } },
    { "rdmsr, shr bl, 0 / xor al, al, jmp", { 0x0f, 0x32, 0xc0, 0xeb, 0x00 }, 5, 1, { LMA, LMA, 0 },
      { 0, 0xff, 0 } },
    { "lea with disp32 / clts, wbinvd", { 0x48, 0x8d, 0x80, 0x0f, 0x06, 0x0f, 0x09 }, 7, 3,
      { 0x090f060f + START_RAX, ALL, 0 }, UNTOUCHED },
};

static uint8_t code[4096] __attribute__((aligned(4096)));

static unsigned wrong_at(const uint8_t *at, const struct outcome *want)
{
    struct regs regs = { .rax = START_RAX, .rcx = 0xc0000080 };

    if (run_code(at, &regs) != NO_TRAP)
        return 1;
    return (regs.rax & want->mask) != want->rax || (regs.rsi & IF) != want->flag;
}

static void check(const struct overlap *o)
{
    static const uint8_t tail[] = { 0x9c, 0x5e, 0xc3 };
    unsigned wrong = 0;

    copy_bytes(code, o->bytes, o->length);
    copy_bytes(code + o->length, tail, sizeof(tail));
    for (unsigned i = 0; i < ROUNDS; i++) {
        wrong += wrong_at(code, &o->outer);
        wrong += wrong_at(code + o->at, &o->inner);
    }
    expect(o->name, wrong, 0);
}

void main(void)
{
    for (unsigned i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++)
        check(&overlaps[i]);
}
