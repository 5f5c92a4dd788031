/*
 * REP MOVS and REP STOS of every size, up and down, at any alignment, overlapping both ways and across
 * pages: memory and registers as a loop of single elements leaves them. Into an absent page: the fault comes
 * with the registers of the element that needs it, and the instruction goes on from there. Onto a page whose
 * code has run: the new code runs.
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { ROUNDS = 300, MOST = 700, PAGES = 3, BYTES = PAGES * PAGE };
enum { ARENA = ALIASES, CODE = ALIASES + 16 * PAGE };

struct insn {
    const char *name;
    uint8_t bytes[8];
    uint8_t length, size;
    bool moves, down;
};

static const struct insn insns[] = {
    { "rep stosb", { 0xf3, 0xaa }, 2, 1, false, false },
    { "rep stosw", { 0x66, 0xf3, 0xab }, 3, 2, false, false },
    { "rep stosd", { 0xf3, 0xab }, 2, 4, false, false },
    { "rep stosq", { 0xf3, 0x48, 0xab }, 3, 8, false, false },
    { "rep movsb", { 0xf3, 0xa4 }, 2, 1, true, false },
    { "rep movsw", { 0x66, 0xf3, 0xa5 }, 3, 2, true, false },
    { "rep movsd", { 0xf3, 0xa5 }, 2, 4, true, false },
    { "rep movsq", { 0xf3, 0x48, 0xa5 }, 3, 8, true, false },
    { "std; rep stosq", { 0xfd, 0xf3, 0x48, 0xab, 0xfc }, 5, 8, false, true },
    { "std; rep movsd", { 0xfd, 0xf3, 0xa5, 0xfc }, 4, 4, true, true },
};

static uint8_t memory[BYTES] __attribute__((aligned(PAGE)));
static uint8_t model[BYTES];
static uint8_t code[64];
static uint8_t code_page[PAGE] __attribute__((aligned(PAGE)));
static uint32_t seed = 1;
static unsigned faults;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void map_arena(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        map_page(ARENA + i * PAGE, (uint64_t)memory + i * PAGE, PTE_RW);
}

static void fill(void)
{
    for (unsigned i = 0; i < BYTES; i++)
        ((volatile uint8_t *)memory)[i] = ((volatile uint8_t *)model)[i] = (uint8_t)random_below(256);
}

/* What the instruction does, element by element, on the model. */
static void by_elements(const struct insn *insn, struct regs *regs)
{
    int64_t step = insn->down ? -(int64_t)insn->size : insn->size;
    volatile uint8_t *m = model;

    for (; regs->rcx; regs->rcx--, regs->rdi += step, regs->rsi += insn->moves ? step : 0) {
        uint8_t element[8];
        for (unsigned i = 0; i < insn->size; i++)
            element[i] = insn->moves ? m[regs->rsi - ARENA + i] : (uint8_t)(regs->rax >> 8 * i);
        for (unsigned i = 0; i < insn->size; i++)
            m[regs->rdi - ARENA + i] = element[i];
    }
}

/* Every fourth pair of places is near, so that most of those overlap. */
static struct regs arguments(const struct insn *insn)
{
    uint32_t count = random_below(MOST), span = count * insn->size, room = BYTES - span - 16;
    uint32_t to = random_below(room), from = random_below(4) ? random_below(room) : to + random_below(64);
    uint32_t first = insn->down && count ? span - insn->size : 0;

    if (from > room)
        from = room;
    return (struct regs){ .rax = seed * 0x9e3779b97f4a7c15, .rcx = count, .rsi = ARENA + from + first,
                          .rdi = ARENA + to + first };
}

static bool same(const struct regs *a, const struct regs *b)
{
    return a->rcx == b->rcx && a->rsi == b->rsi && a->rdi == b->rdi && a->rax == b->rax;
}

static unsigned differing_bytes(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < BYTES; i++)
        n += ((volatile uint8_t *)memory)[i] != ((volatile uint8_t *)model)[i];
    return n;
}

static void against_the_model(const struct insn *insn)
{
    unsigned wrong_registers = 0, wrong_bytes = 0;

    put_code(code, insn->bytes, insn->length);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct regs regs = arguments(insn), want = regs;
        by_elements(insn, &want);
        wrong_registers += run_code(code, &regs) != NO_TRAP || !same(&regs, &want);
        wrong_bytes += differing_bytes() != 0;
    }
    expect2(insn->name, "registers", wrong_registers, 0);
    expect2(insn->name, "memory", wrong_bytes, 0);
}

/* The last page of the arena appears when it is first touched. */
static bool map_last(struct frame *frame)
{
    uint64_t cr2;

    (void)frame;
    asm volatile("movq %%cr2, %0" : "=r"(cr2));
    if (cr2 < ARENA + 2 * PAGE || cr2 >= ARENA + 3 * PAGE)
        return false;
    faults++;
    map_page(ARENA + 2 * PAGE, (uint64_t)memory + 2 * PAGE, PTE_RW);
    return true;
}

static void into_absent(const struct insn *insn)
{
    uint64_t left = 100 * insn->size, border = ARENA + 2 * PAGE;
    struct regs regs = { .rax = 0x5a, .rcx = 300, .rsi = ARENA, .rdi = border - left }, want = regs;

    put_code(code, insn->bytes, insn->length);
    map_page(border, 0, 0);
    expect2(insn->name, "into an absent page", (uint64_t)run_code(code, &regs), PF);
    expect2(insn->name, "faults with RCX", last_trap.frame.rcx, 200);
    expect2(insn->name, "and RDI", last_trap.frame.rdi, border);
    expect2(insn->name, "and RSI", last_trap.frame.rsi, ARENA + (insn->moves ? left : 0));
    expect2(insn->name, "and CR2", last_trap.cr2, border);
    expect2(insn->name, "and RIP", last_trap.frame.rip, (uint64_t)code);
    fill();
    faults = 0;
    trap_set_hook(PF, map_last);
    regs = want;
    by_elements(insn, &want);
    run_code(code, &regs);
    trap_set_hook(PF, 0);
    expect2(insn->name, "goes on where the page appears", same(&regs, &want) && faults == 1, true);
    expect2(insn->name, "and completes", differing_bytes(), 0);
}

/* MOV EAX, imm; RET, copied over itself with other immediates. */
static void onto_code(void)
{
    static const uint8_t rep_movsb[] = { 0xf3, 0xa4 };
    uint8_t function[6] = { 0xb8, 0, 0, 0, 0, 0xc3 };
    unsigned wrong = 0;

    map_page(CODE, (uint64_t)code_page, PTE_RW);
    put_code(code, rep_movsb, sizeof(rep_movsb));
    for (unsigned i = 0; i < 200; i++) {
        struct regs copy = { .rcx = sizeof(function), .rsi = (uint64_t)function, .rdi = CODE }, run = { 0 };
        ((volatile uint8_t *)function)[1] = (uint8_t)i;
        run_code(code, &copy);
        wrong += run_code((void *)(uint64_t)CODE, &run) != NO_TRAP || run.rax != i;
    }
    expect("code written by rep movsb: wrong of 200", wrong, 0);
}

void main(void)
{
    trap_init();
    map_arena();
    fill();
    for (unsigned i = 0; i < sizeof(insns) / sizeof(insns[0]); i++)
        against_the_model(&insns[i]);
    for (unsigned i = 0; i < sizeof(insns) / sizeof(insns[0]); i++)
        if (!insns[i].down)
            into_absent(&insns[i]);
    onto_code();
    done();
}
