/*
 * A block that stores into its own page, and into its own bytes ahead of and behind the store.
 * x86 promises that a store to the instruction stream is seen by the very next instruction (Intel SDM vol.
 * 3, 12.6).
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { ROUNDS = 2000, IF = 0x200, DATA = 0x800 };

static uint8_t page[PAGE] __attribute__((aligned(PAGE)));

struct snippet {
    const char *name;
    uint8_t bytes[24];
    uint8_t length;
};

/* mov [rip+1], cl; mov al, imm8; ret: the store replaces the immediate of the next instruction. */
static const struct snippet store_next = { "next instruction", { 0x88, 0x0d, 1, 0, 0, 0, 0xb0, 0, 0xc3 }, 9 };
/* mov [rip+9], cl; eight NOPs; mov al, imm8; ret. */
static const struct snippet store_ahead = {
    "eight instructions ahead",
    { 0x88, 0x0d, 9, 0, 0, 0, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xb0, 0, 0xc3 }, 17
};
/* mov al, imm8; mov [rip-7], cl; ret: the immediate behind the store; takes effect on the next call. */
static const struct snippet store_behind = { "instruction behind",
                                             { 0xb0, 0, 0x88, 0x0d, 0xf9, 0xff, 0xff, 0xff, 0xc3 },
                                             9 };
/* mov al, imm8; mov [rip+0x7f8], cl; ret: data in the code's own page. */
static const struct snippet store_page = { "data in the own page",
                                           { 0xb0, 7, 0x88, 0x0d, 0xf8, 7, 0, 0, 0xc3 },
                                           9 };

static uint64_t run(const struct snippet *snippet, unsigned value)
{
    struct regs regs = { .rcx = value };

    return run_code(page, &regs) == NO_TRAP ? regs.rax & 0xff : ~(uint64_t)snippet->length;
}

static unsigned stale(const struct snippet *snippet, unsigned delay)
{
    unsigned wrong = 0;

    copy_bytes(page, snippet->bytes, snippet->length);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t got = run(snippet, i & 0xff);
        wrong += i >= delay && got != ((i - delay) & 0xff);
    }
    return wrong;
}

static void data_in_own_page(void)
{
    unsigned wrong = 0;

    copy_bytes(page, store_page.bytes, store_page.length);
    for (unsigned i = 0; i < ROUNDS; i++) {
        wrong += run(&store_page, i & 0xff) != 7;
        wrong += page[DATA] != (i & 0xff);
    }
    expect("store to data in the own page: wrong of 4000", wrong, 0);
}

/* pushfq; mov [rip], cl; OP; nop; pushfq; pop rax; popfq; ret: the store makes OP a CLI or an STI. */
static void privileged_ahead(void)
{
    static const uint8_t text[] = { 0x9c, 0x88, 0x0d, 0, 0, 0, 0, 0x90, 0x90, 0x9c, 0x58, 0x9d, 0xc3 };
    unsigned wrong = 0;

    copy_bytes(page, text, sizeof(text));
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct regs regs = { .rcx = i & 1 ? 0xfb : 0xfa };
        run_code(page, &regs);
        wrong += (regs.rax & IF) != (i & 1 ? IF : 0);
    }
    expect("store makes cli or sti ahead: wrong of 2000", wrong, 0);
}

/* lea rdi, [rip+10]; mov al, cl; mov ecx, 4; rep stosb; mov eax, imm32; ret: stosb covers the immediate. */
static void string_store_ahead(void)
{
    static const uint8_t text[] = { 0x48, 0x8d, 0x3d, 10, 0, 0, 0, 0x88, 0xc8, 0xb9, 4, 0, 0, 0,
                                    0xf3, 0xaa, 0xb8, 0, 0, 0, 0, 0xc3 };
    unsigned wrong = 0;

    copy_bytes(page, text, sizeof(text));
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct regs regs = { .rcx = i & 0xff };
        run_code(page, &regs);
        wrong += regs.rax != (i & 0xff) * 0x01010101ull;
    }
    expect("rep stosb over the next immediate: wrong of 2000", wrong, 0);
}

/* 1: incb [rip+5]; dec ecx; jnz 1b; mov al, imm8; ret: a loop that counts in an immediate of its own page. */
static void loop_counts_in_code(void)
{
    static const uint8_t text[] = { 0xfe, 0x05, 5, 0, 0, 0, 0xff, 0xc9, 0x75, 0xf6, 0xb0, 0, 0xc3 };
    struct regs regs = { .rcx = 10000 };

    copy_bytes(page, text, sizeof(text));
    run_code(page, &regs);
    expect("loop increments an immediate 10000 times", regs.rax & 0xff, 10000 & 0xff);
}

void main(void)
{
    expect2("store to", store_next.name, stale(&store_next, 0), 0);
    expect2("store to", store_ahead.name, stale(&store_ahead, 0), 0);
    expect2("store to", store_behind.name, stale(&store_behind, 1), 0);
    data_in_own_page();
    privileged_ahead();
    string_store_ahead();
    loop_counts_in_code();
}
