/*
 * Code changed through a second linear mapping of its page: each mapping must run the new bytes, so must a
 * remapped address.
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { REWRITES = 2000, ALIAS = ALIASES, SECOND_ALIAS = ALIASES + 0x10000, ROTATING = ALIASES + 0x20000 };

static uint8_t code[PAGE] __attribute__((aligned(PAGE)));
static uint8_t other[PAGE] __attribute__((aligned(PAGE)));
static const uint8_t mov_eax_ret[] = { 0xb8, 0, 0, 0, 0, 0xc3 };
/* mov ecx, EFER; xor eax, eax; OP OP; ret */
static const uint8_t privileged[] = { 0xb9, 0x80, 0, 0, 0xc0, 0x31, 0xc0, 0x0f, 0x32, 0xc3 };

static uint64_t run_at(uint64_t address)
{
    struct regs regs = { 0 };

    return run_code((void *)address, &regs) == NO_TRAP ? regs.rax : ~0ull;
}

/* Write through `writer`, run at both `first` and `second`. */
static unsigned stale_through(uint64_t writer, uint64_t first, uint64_t second)
{
    unsigned stale = 0;

    copy_bytes((void *)writer, mov_eax_ret, sizeof(mov_eax_ret));
    for (uint32_t i = 0; i < REWRITES; i++) {
        copy_bytes((void *)(writer + 1), &i, sizeof(i));
        stale += run_at(first) != i;
        stale += run_at(second) != i;
    }
    return stale;
}

static unsigned privileged_stale(uint64_t writer, uint64_t runner)
{
    static const uint8_t ops[2][2] = { { 0x0f, 0x32 }, { 0x90, 0x90 } };
    unsigned stale = 0;

    copy_bytes((void *)writer, privileged, sizeof(privileged));
    for (unsigned i = 0; i < REWRITES; i++) {
        copy_bytes((void *)(writer + 7), ops[i & 1], 2);
        stale += ((run_at(runner) & 0x500) == 0x500) != !(i & 1);
    }
    return stale;
}

/* The same address, mapped in turn to two pages with different code. */
static unsigned remap_stale(void)
{
    unsigned stale = 0;

    copy_bytes(code, mov_eax_ret, sizeof(mov_eax_ret));
    copy_bytes(other, mov_eax_ret, sizeof(mov_eax_ret));
    code[1] = 1;
    other[1] = 2;
    for (unsigned i = 0; i < REWRITES; i++) {
        map_page(ROTATING, (uint64_t)(i & 1 ? other : code), PTE_RW);
        stale += run_at(ROTATING) != 1 + (i & 1);
    }
    return stale;
}

void main(void)
{
    uint64_t original = (uint64_t)code;

    map_page(ALIAS, original, PTE_RW);
    map_page(SECOND_ALIAS, original, PTE_RW);
    expect("write original, run both aliases: stale of 4000", stale_through(original, ALIAS, SECOND_ALIAS),
           0);
    expect("write alias, run original and alias: stale of 4000", stale_through(ALIAS, original, ALIAS), 0);
    expect("write one alias, run the other: stale of 4000", stale_through(ALIAS, SECOND_ALIAS, original), 0);
    expect("rdmsr/nop by alias: stale of 2000", privileged_stale(ALIAS, original), 0);
    expect("rdmsr/nop by original: stale of 2000", privileged_stale(original, ALIAS), 0);
    expect("one address remapped to two pages: stale of 2000", remap_stale(), 0);
}
