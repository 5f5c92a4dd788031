/*
 * LGDT, LIDT, LLDT, LTR and their stores in 64-bit mode: values, widths, types and faults (Intel SDM vol. 2;
 * vol. 3, 3.5), and the instructions that look into descriptors: LAR, LSL, VERR, VERW.
 */
#include "../lib/gdt.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { LDT_SELECTOR = SPARE_SELECTOR, SECOND_TSS = SPARE_SELECTOR + 16, ABSENT_LDT = SPARE_SELECTOR + 32 };
enum { ABSENT_TSS = SPARE_SELECTOR + 48, TYPE_LDT = 2, TYPE_TSS = 9, IN_LDT = 4, BEYOND = 0x1000 };
#define PRESENT (1ull << 47)

static uint64_t ldt[4] = { 0, 0x00cf93000000ffff, 0x00af9b000000ffff, 0x00cf97000000ffff };
static uint8_t code[4096] __attribute__((aligned(4096)));
static struct pointer image __attribute__((aligned(16)));

static struct pointer sgdt(void)
{
    struct pointer p;

    asm volatile("sgdt %0" : "=m"(p));
    return p;
}

static struct pointer sidt(void)
{
    struct pointer p;

    asm volatile("sidt %0" : "=m"(p));
    return p;
}

static void table_registers(void)
{
    struct pointer old_gdt = sgdt(), old_idt = sidt(), p;

    expect("sgdt limit", old_gdt.limit, gdt_pointer.limit);
    expect("sgdt base", old_gdt.base, (uint64_t)gdt);
    p = (struct pointer){ gdt_pointer.limit - 8, (uint64_t)gdt };
    asm volatile("lgdt %0" : : "m"(p));
    expect("lgdt: limit reads back", sgdt().limit, gdt_pointer.limit - 8);
    p.base = 0xffff800000001234;
    asm volatile("lgdt %0" : : "m"(p));
    expect("lgdt: 64-bit base reads back", sgdt().base, 0xffff800000001234);
    asm volatile("lgdt %0" : : "m"(old_gdt));
    p = (struct pointer){ 0x0fff, 0xffff800000005678 };
    asm volatile("lidt %0" : : "m"(p));
    p = sidt();
    asm volatile("lidt %0" : : "m"(old_idt));
    expect("lidt: limit reads back", p.limit, 0x0fff);
    expect("lidt: 64-bit base reads back", p.base, 0xffff800000005678);
    expect("lidt: the old table is back", sidt().base, old_idt.base);
}

/* SGDT and SIDT write exactly ten bytes. */
static void store_width(void)
{
    uint8_t bytes[12];

    for (int i = 0; i < 12; i++)
        bytes[i] = 0x5a;
    asm volatile("sgdt (%0)" : : "r"(bytes) : "memory");
    expect("sgdt writes ten bytes",
           ((volatile uint8_t *)bytes)[10] == 0x5a && ((volatile uint8_t *)bytes)[11] == 0x5a, 1);
    expect("sgdt: the upper base bytes are written", ((volatile uint8_t *)bytes)[9], 0);
}

/* One instruction with RAX = value and RSI = &image. */
static int attempt(const char *bytes, unsigned length, uint64_t value)
{
    struct regs regs = { .rax = value, .rsi = (uint64_t)&image };

    return run_code(put_code(code, bytes, length), &regs);
}

static void noncanonical_base(void)
{
    struct pointer old_gdt = sgdt(), old_idt = sidt();

    image = (struct pointer){ 0xff, 0x8000000000000000 };
    /* TCG loads a non-canonical base without a word, and could deliver nothing through such an IDT. Its
     * translator emits plain stores for it: only rewriting the instruction gives a monitor the chance. */
    if (!quirks_accepted()) {
        expect("lgdt of a non-canonical base", (uint64_t)attempt("\x0f\x01\x16", 3, 0), GP);
        expect("lidt of a non-canonical base", (uint64_t)attempt("\x0f\x01\x1e", 3, 0), GP);
    }
    expect("the GDT is as before", sgdt().base, old_gdt.base);
    expect("the IDT is as before", sidt().base, old_idt.base);
    expect("lgdt of a register", (uint64_t)attempt("\x0f\x01\xd7", 3, 0), UD);
}

struct selector_row {
    const char *name, *bytes; /* LLDT AX: 0F 00 D0; LTR AX: 0F 00 D8 */
    uint16_t selector;
    int vector;
    uint16_t error;
    int tcg_vector; /* TCG's answer where it is known to be wrong: it loads null into TR */
};

static const struct selector_row loads[] = {
    { "lldt of an LDT", "\x0f\x00\xd0", LDT_SELECTOR, NO_TRAP, 0 },
    { "lldt of null", "\x0f\x00\xd0", 0, NO_TRAP, 0 },
    { "lldt of a code segment", "\x0f\x00\xd0", KERNEL_CS, GP, KERNEL_CS },
    { "lldt of a TSS", "\x0f\x00\xd0", SECOND_TSS, GP, SECOND_TSS },
    { "lldt of an absent LDT", "\x0f\x00\xd0", ABSENT_LDT, NP, ABSENT_LDT },
    { "lldt beyond the GDT", "\x0f\x00\xd0", BEYOND, GP, BEYOND },
    { "lldt of a selector in the LDT", "\x0f\x00\xd0", 8 | IN_LDT, GP, 8 | IN_LDT },
    { "ltr of null", "\x0f\x00\xd8", 0, GP, 0, NO_TRAP },
    { "ltr of a code segment", "\x0f\x00\xd8", KERNEL_CS, GP, KERNEL_CS },
    { "ltr of an LDT", "\x0f\x00\xd8", LDT_SELECTOR, GP, LDT_SELECTOR },
    { "ltr of an absent TSS", "\x0f\x00\xd8", ABSENT_TSS, NP, ABSENT_TSS },
    { "ltr of the busy TSS", "\x0f\x00\xd8", TSS_SELECTOR, GP, TSS_SELECTOR },
    { "ltr beyond the GDT", "\x0f\x00\xd8", BEYOND, GP, BEYOND },
    { "ltr of a free TSS", "\x0f\x00\xd8", SECOND_TSS, NO_TRAP, 0 },
};

static void selector_loads(void)
{
    for (unsigned i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        const struct selector_row *row = &loads[i];
        int vector = attempt(row->bytes, 3, row->selector);
        uint64_t error = vector == NO_TRAP ? 0 : last_trap.frame.error;
        uint64_t got = (uint64_t)vector << 16 | error, want = (uint64_t)row->vector << 16 | row->error;
        expect_or_quirk(row->name, "", got, want, row->tcg_vector ? (uint64_t)row->tcg_vector << 16 : want);
    }
    expect("ltr marks its descriptor busy", gdt[SECOND_TSS / 8] >> 41 & 1, 1);
}

static uint64_t load_ds(uint16_t selector)
{
    return (uint64_t)attempt("\x8e\xd8", 2, selector); /* mov ds, ax */
}

static void local_table(void)
{
    uint64_t rax = ~0ull;
    volatile uint16_t stored[2] = { 0, 0x5a5a };

    attempt("\x0f\x00\xd0", 3, LDT_SELECTOR);
    asm volatile("sldt %w0" : "+r"(rax));
    expect("sldt r16 keeps the rest of the register", rax, 0xffffffffffff0000 | LDT_SELECTOR);
    asm volatile("sldt %k0" : "+r"(rax));
    expect("sldt r32 zero-extends", rax, LDT_SELECTOR);
    asm volatile("sldt %0" : "=m"(stored[0]));
    expect("sldt to memory writes two bytes", stored[0] == LDT_SELECTOR && stored[1] == 0x5a5a, 1);
    expect("mov ds from the LDT", load_ds(8 | IN_LDT), (uint64_t)NO_TRAP);
    expect("mov ds beyond the LDT", load_ds(sizeof(ldt) | IN_LDT), GP);
    expect("its error code is the selector", last_trap.frame.error, sizeof(ldt) | IN_LDT);
    attempt("\x0f\x00\xd0", 3, 0);
    expect("mov ds from no LDT", load_ds(8 | IN_LDT), GP);
    expect("sldt after lldt of null", (uint64_t)attempt("\x0f\x00\xc0", 3, 5), (uint64_t)NO_TRAP);
}

static void task_register(void)
{
    uint64_t rax = ~0ull;

    asm volatile("str %w0" : "+r"(rax));
    expect("str r16", rax, 0xffffffffffff0000 | SECOND_TSS);
    asm volatile("str %k0" : "+r"(rax));
    expect("str r32 zero-extends", rax, SECOND_TSS);
}

/* ZF in bit 32, result below. */
static uint64_t lar(uint32_t selector)
{
    uint32_t rights = 0;
    uint8_t zf;

    asm volatile("lar %2, %0; setz %1" : "+r"(rights), "=q"(zf) : "r"(selector) : "cc");
    return (uint64_t)zf << 32 | (rights & 0xfff0ff00); /* bits 16 to 19 are undefined */
}

static uint64_t lsl(uint32_t selector)
{
    uint32_t limit = 0;
    uint8_t zf;

    asm volatile("lsl %2, %0; setz %1" : "+r"(limit), "=q"(zf) : "r"(selector) : "cc");
    return (uint64_t)zf << 32 | limit;
}

#define VERIFY(insn, selector) \
    ({ \
        uint8_t zf; \
        asm volatile(insn " %w1; setz %0" : "=q"(zf) : "r"(selector) : "cc"); \
        zf; \
    })

static void descriptor_queries(void)
{
    expect("lar of code", lar(KERNEL_CS), 1ull << 32 | 0xa09b00);
    expect("lar of data, DPL 3", lar(USER_DS), 1ull << 32 | 0xc0f300);
    expect("lar of null", lar(0), 0);
    expect("lar beyond the GDT", lar(BEYOND), 0);
    expect("lsl of flat data", lsl(KERNEL_DS), 1ull << 32 | 0xffffffff);
    expect("lsl of 64 KiB code", lsl(KERNEL_CS16), 1ull << 32 | 0xffff);
    expect("lsl of a TSS", lsl(TSS_SELECTOR), 1ull << 32 | (sizeof(struct tss) - 1));
    expect("verr of code", VERIFY("verr", KERNEL_CS), 1);
    expect("verw of code", VERIFY("verw", KERNEL_CS), 0);
    expect("verw of data", VERIFY("verw", KERNEL_DS), 1);
    expect("verr of a TSS", VERIFY("verr", TSS_SELECTOR), 0);
    expect("verr of null", VERIFY("verr", 0), 0);
}

void main(void)
{
    static struct tss second;

    system_descriptor(LDT_SELECTOR, TYPE_LDT, ldt, sizeof(ldt) - 1);
    system_descriptor(SECOND_TSS, TYPE_TSS, &second, sizeof(second) - 1);
    system_descriptor(ABSENT_LDT, TYPE_LDT, ldt, sizeof(ldt) - 1);
    system_descriptor(ABSENT_TSS, TYPE_TSS, &second, sizeof(second) - 1);
    gdt[ABSENT_LDT / 8] &= ~PRESENT;
    gdt[ABSENT_TSS / 8] &= ~PRESENT;
    table_registers();
    store_width();
    noncanonical_base();
    selector_loads();
    local_table();
    task_register();
    descriptor_queries();
}
