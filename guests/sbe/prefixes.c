/*
 * Every privileged or sensitive instruction under every prefix it tolerates, alone, in pairs and stacked to
 * 15 bytes:
 * redundant prefixes change nothing, LOCK raises #UD, a REX that is not last is ignored, 16 bytes raise #GP.
 * Prefixes that select another instruction (F3 90 PAUSE, F3 0F 09 WBNOINVD, REX.R 0F 20 CR8 …) have rows of
 * their own.
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { MAX_LENGTH = 15, IF = 0x200 };

/* Classes of prefixes an instruction takes as meaningless; LOCK_CHECKED: TCG raises #UD when it is locked. */
enum { SEG = 1, OPSIZE = 2, ADSIZE = 4, REP = 8, REXES = 16, LOCK_CHECKED = 32 };
enum { ALL = SEG | OPSIZE | ADSIZE | REP | REXES };

struct insn {
    const char *name;
    uint8_t bytes[4];
    uint8_t length, prefixes;
    uint64_t mask; /* bits of RAX that are the same on every run; 0: only completion is checked */
};

static const struct insn insns[] = {
    { "cli", { 0xfa }, 1, ALL, ~0ull },
    { "sti", { 0xfb }, 1, ALL, ~0ull },
    { "cpuid", { 0x0f, 0xa2 }, 2, ALL, ~0ull },
    { "rdtsc", { 0x0f, 0x31 }, 2, ALL, 0 },
    { "rdmsr", { 0x0f, 0x32 }, 2, SEG | OPSIZE | ADSIZE | REXES, ~0ull },
    { "wrmsr", { 0x0f, 0x30 }, 2, SEG | OPSIZE | ADSIZE | REXES, ~0ull },
    { "clts", { 0x0f, 0x06 }, 2, ALL, ~0ull },
    { "wbinvd", { 0x0f, 0x09 }, 2, SEG | OPSIZE | ADSIZE | REXES, ~0ull },
    { "mov rax, cr0", { 0x0f, 0x20, 0xc0 }, 3, SEG | OPSIZE | ADSIZE | REP, ~0ull },
    { "mov cr0, rbx", { 0x0f, 0x22, 0xc3 }, 3, SEG | OPSIZE | ADSIZE | REP, ~0ull },
    { "mov rax, cr3", { 0x0f, 0x20, 0xd8 }, 3, SEG | OPSIZE | ADSIZE | REP, ~0ull },
    { "mov rax, cr4", { 0x0f, 0x20, 0xe0 }, 3, SEG | OPSIZE | ADSIZE | REP, ~0ull },
    { "mov rax, cr0 with mod 0", { 0x0f, 0x20, 0x00 }, 3, SEG | OPSIZE | ADSIZE | REP, ~0ull },
    { "mov rax, dr7", { 0x0f, 0x21, 0xf8 }, 3, SEG | OPSIZE | ADSIZE | REP, ~0ull },
    { "in al, 0x80", { 0xe4, 0x80 }, 2, SEG | ADSIZE | REXES, 0 },
    { "in al, dx", { 0xec }, 1, SEG | ADSIZE | REXES, 0 },
    { "out 0x80, al", { 0xe6, 0x80 }, 2, ALL, ~0ull },
    { "out dx, al", { 0xee }, 1, ALL, ~0ull },
    { "sgdt [rsi]", { 0x0f, 0x01, 0x06 }, 3, SEG | OPSIZE | ADSIZE, ~0ull },
    { "sidt [rsi]", { 0x0f, 0x01, 0x0e }, 3, SEG | OPSIZE | ADSIZE, ~0ull },
    { "lgdt [rdi]", { 0x0f, 0x01, 0x17 }, 3, SEG | OPSIZE | ADSIZE, ~0ull },
    { "invlpg [rsi]", { 0x0f, 0x01, 0x3e }, 3, SEG | OPSIZE | ADSIZE, ~0ull },
    { "lmsw bx", { 0x0f, 0x01, 0xf3 }, 3, SEG | OPSIZE | ADSIZE, ~0ull },
    { "swapgs", { 0x0f, 0x01, 0xf8 }, 3, SEG | ADSIZE | REXES, ~0ull },
    { "pause", { 0xf3, 0x90 }, 2, SEG | OPSIZE | ADSIZE | REP | LOCK_CHECKED, ~0ull },
    { "pushfq; popfq", { 0x9c, 0x9d }, 2, 0, ~0ull },
    { "wbnoinvd", { 0xf3, 0x0f, 0x09 }, 3, SEG | ADSIZE, ~0ull },
};
enum { INSNS = sizeof(insns) / sizeof(insns[0]) };

struct prefix {
    const char *name;
    uint8_t byte, class;
};

static const struct prefix prefixes[] = {
    { "es", 0x26, SEG },         { "cs", 0x2e, SEG },  { "ss", 0x36, SEG },        { "ds", 0x3e, SEG },
    { "fs", 0x64, SEG },         { "gs", 0x65, SEG },  { "data16", 0x66, OPSIZE }, { "addr32", 0x67, ADSIZE },
    { "repne", 0xf2, REP },      { "rep", 0xf3, REP }, { "rex", 0x40, REXES },     { "rex.w", 0x48, REXES },
    { "rex.wrxb", 0x4f, REXES },
};
enum { PREFIXES = sizeof(prefixes) / sizeof(prefixes[0]) };

/* Fresh bytes for every case, so that this guest does not lean on self-modifying code. */
static uint8_t code[160 * PAGE] __attribute__((aligned(PAGE)));
static uint8_t *next = code;
static uint8_t scratch[64];
static uint8_t gdt_image[16];

static struct regs arguments(void)
{
    struct regs regs = { .rcx = 0xc0000080, .rsi = (uint64_t)scratch, .rdi = (uint64_t)gdt_image };
    uint32_t low, high;

    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0000080));
    asm volatile("movq %%cr0, %0" : "=r"(regs.rbx));
    regs.rax = low;
    regs.rdx = 0x80;
    return regs;
}

/* RDX is a port for IN and OUT; for WRMSR it is the upper half of EFER, where 0x80 is a reserved bit. */
static struct regs arguments_for(const struct insn *insn)
{
    struct regs regs = arguments();

    if (insn->bytes[0] == 0x0f)
        regs.rdx = 0;
    return regs;
}

static int run(const struct insn *insn, const uint8_t *prefix, unsigned n, uint64_t *rax)
{
    struct regs regs = arguments_for(insn);
    uint8_t *at = next;
    int vector;

    copy_bytes(next, prefix, n);
    put_code(next + n, insn->bytes, insn->length);
    next += 32;
    vector = run_code(at, &regs);
    *rax = regs.rax & insn->mask;
    return vector;
}

static unsigned wrong(const struct insn *insn, const uint8_t *prefix, unsigned n, uint64_t want)
{
    uint64_t rax;
    int vector = run(insn, prefix, n, &rax);

    return vector != NO_TRAP || rax != want;
}

static bool accepts(const struct insn *insn, const struct prefix *prefix)
{
    return insn->prefixes & prefix->class;
}

static void single_and_pairs(const struct insn *insn, uint64_t want)
{
    unsigned failures = 0;

    for (unsigned i = 0; i < PREFIXES; i++) {
        const uint8_t alone = prefixes[i].byte;
        if (!accepts(insn, &prefixes[i]))
            continue;
        failures += wrong(insn, &alone, 1, want);
        for (unsigned j = 0; j < PREFIXES; j++) {
            const uint8_t pair[2] = { alone, prefixes[j].byte };
            if (!accepts(insn, &prefixes[j]))
                continue;
            failures += wrong(insn, pair, 2, want);
            }
    }
    expect2(insn->name, "under single prefixes and pairs", failures, 0);
}

/* Prefixes up to 15 bytes are one instruction, a sixteenth byte is #GP(0). */
static void stacked(const struct insn *insn, uint64_t want)
{
    uint8_t prefix[MAX_LENGTH];
    unsigned n = MAX_LENGTH - insn->length;
    uint64_t rax;

    for (unsigned i = 0; i < MAX_LENGTH; i++)
        prefix[i] = i & 1 ? 0x2e : 0x3e;
    expect2(insn->name, "15 bytes long", wrong(insn, prefix, n, want), 0);
    expect2(insn->name, "16 bytes long raises #GP", (uint64_t)run(insn, prefix, n + 1, &rax), GP);
}

static void locked(const struct insn *insn)
{
    static const uint8_t lock = 0xf0, lock_cs[2] = { 0xf0, 0x2e }, cs_lock[2] = { 0x2e, 0xf0 };
    uint64_t rax;
    unsigned missed = run(insn, &lock, 1, &rax) != UD;

    missed += run(insn, lock_cs, 2, &rax) != UD;
    missed += run(insn, cs_lock, 2, &rax) != UD;
    /* TCG does not look at LOCK before most of these instructions, and runs them. */
    expect_or_quirk(insn->name, "under lock raises #UD", missed, 0, insn->prefixes & LOCK_CHECKED ? 0 : 3);
}

static void check(const struct insn *insn)
{
    uint64_t want;
    int vector = run(insn, 0, 0, &want);

    expect2(insn->name, "bare", (uint64_t)vector, (uint64_t)NO_TRAP);
    if (insn->prefixes) {
        single_and_pairs(insn, want);
        stacked(insn, want);
    }
    if (insn->length > 1 || insn->prefixes)
        locked(insn);
}

void main(void)
{
    asm volatile("sgdt %0" : "=m"(gdt_image));
    for (unsigned i = 0; i < INSNS; i++)
        check(&insns[i]);
}
