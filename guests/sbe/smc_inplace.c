/*
 * Rewrites its own code in place, privileged and plain instructions alike: the next run must be of the new
 * bytes.
 */
#include "../lib/report.h"
#include "../lib/run.h"

enum { REWRITES = 2000, IF = 0x200 };

static uint8_t code[4096] __attribute__((aligned(4096)));

static uint64_t run(void)
{
    struct regs regs = { 0 };

    run_code(code, &regs);
    return regs.rax;
}

static unsigned immediate_stale(void)
{
    static const uint8_t mov_eax_ret[] = { 0xb8, 0, 0, 0, 0, 0xc3 };
    unsigned stale = 0;

    copy_bytes(code, mov_eax_ret, sizeof(mov_eax_ret));
    for (uint32_t i = 0; i < REWRITES; i++) {
        copy_bytes(code + 1, &i, sizeof(i));
        stale += run() != i;
    }
    return stale;
}

/* pushfq; OP; pushfq; pop rax; popfq; ret with OP alternately CLI and STI. */
static unsigned interrupt_flag_stale(void)
{
    static const uint8_t text[] = { 0x9c, 0xfa, 0x90, 0x9c, 0x58, 0x9d, 0xc3 };
    unsigned stale = 0;

    copy_bytes(code, text, sizeof(text));
    for (unsigned i = 0; i < REWRITES; i++) {
        uint8_t op = i & 1 ? 0xfb : 0xfa;
        copy_bytes(code + 1, &op, 1);
        stale += (run() & IF) != (i & 1 ? IF : 0);
    }
    return stale;
}

/* mov ecx, EFER; xor eax, eax; OP; ret: RDMSR gives EFER, CPUID the highest leaf, two NOPs give 0. */
static unsigned opcode_stale(void)
{
    static const uint8_t text[] = { 0x53, 0xb9, 0x80, 0, 0, 0xc0, 0x31, 0xc0, 0x90, 0x90, 0x5b, 0xc3 };
    static const uint8_t ops[3][2] = { { 0x90, 0x90 }, { 0x0f, 0x32 }, { 0x0f, 0xa2 } };
    uint64_t want[3];
    unsigned stale = 0;

    copy_bytes(code, text, sizeof(text));
    for (unsigned i = 0; i < REWRITES; i++) {
        uint64_t got;
        copy_bytes(code + 8, ops[i % 3], 2);
        got = run();
        if (i < 3)
            want[i] = got;
        stale += got != want[i % 3];
    }
    expect("nop, rdmsr and cpuid give three answers", want[0] != want[1] && want[1] != want[2], 1);
    expect("rdmsr of EFER has LMA and LME", want[1] & 0x500, 0x500);
    return stale;
}

void main(void)
{
    expect("stale immediates of 2000", immediate_stale(), 0);
    expect("stale cli/sti of 2000", interrupt_flag_stale(), 0);
    expect("stale nop/rdmsr/cpuid of 2000", opcode_stale(), 0);
    expect("new bytes read as data", code[8] == 0x90 || code[9] == 0x32 || code[9] == 0xa2, 1);
}
