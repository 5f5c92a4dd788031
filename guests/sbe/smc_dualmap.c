/*
 * A JIT's dual mapping: one page writable and not meant to run, the same page read-only and run.
 * 2000 rewrites, none may run stale; the running mapping must stay read-only to stores.
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { REWRITES = 2000, WRITER = ALIASES, RUNNER = ALIASES + 0x10000 };

static uint8_t page[PAGE] __attribute__((aligned(PAGE)));

static uint64_t run(unsigned offset)
{
    struct regs regs = { 0 };

    return run_code((void *)(uint64_t)(RUNNER + offset), &regs) == NO_TRAP ? regs.rax : ~0ull;
}

static unsigned stale_in_place(void)
{
    uint8_t text[] = { 0xb8, 0, 0, 0, 0, 0xc3 };
    unsigned stale = 0;

    for (uint32_t i = 0; i < REWRITES; i++) {
        copy_bytes(text + 1, &i, sizeof(i));
        copy_bytes((void *)WRITER, text, sizeof(text));
        stale += run(0) != i;
    }
    return stale;
}

/* As a JIT does: each new function behind the last one, so that old and new code share the page. */
static unsigned stale_appended(void)
{
    uint8_t text[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x20, 0xc2, 0xc3 }; /* mov eax, imm; mov rdx, cr0; ret */
    unsigned stale = 0;

    for (uint32_t i = 0; i < REWRITES; i++) {
        unsigned offset = i * 16 % PAGE;
        copy_bytes(text + 1, &i, sizeof(i));
        copy_bytes((void *)(uint64_t)(WRITER + offset), text, sizeof(text));
        stale += run(offset) != i;
    }
    return stale;
}

static void store_to_runner(void *unused)
{
    (void)unused;
    *(volatile uint8_t *)RUNNER = 0;
}

void main(void)
{
    map_page(WRITER, (uint64_t)page, PTE_RW);
    map_page(RUNNER, (uint64_t)page, PTE_RX);
    expect("rewritten in place: stale of 2000", stale_in_place(), 0);
    expect("appended: stale of 2000", stale_appended(), 0);
    expect("store to the read-only mapping raises #PF", (uint64_t)guarded(store_to_runner, 0), PF);
    expect("its error code is write, present", last_trap.frame.error, 3);
    expect("its CR2 is the read-only address", last_trap.cr2, RUNNER);
}
