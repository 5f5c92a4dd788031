/*
 * Control, debug and model-specific registers: what can be written reads back, what cannot raises the right
 * exception (Intel SDM vol. 3, 2.5, 18.2; vol. 4, table 2-2). Needs no vendor: what Intel and AMD do
 * differently is left out.
 */
#include "../lib/lapic.h"
#include "../lib/msr.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

#define UPPER (1ull << 32)
#define NONCANONICAL 0x8000000000000000ull

static uint8_t code[4096] __attribute__((aligned(4096)));

/* Run one instruction with RAX = low and RDX = high half of `value`, RBX = `value`, RCX = `rcx`. */
static int attempt(const void *bytes, unsigned length, uint32_t rcx, uint64_t value)
{
    struct regs regs = { .rax = (uint32_t)value, .rdx = value >> 32, .rbx = value, .rcx = rcx };

    return run_code(put_code(code, bytes, length), &regs);
}

static int try_wrmsr(uint32_t msr, uint64_t value)
{
    return attempt("\x0f\x30", 2, msr, value);
}

static int try_rdmsr(uint32_t msr)
{
    return attempt("\x0f\x32", 2, msr, 0);
}

struct bits {
    const char *name;
    uint64_t mask;
};

static void toggle(const char *name, const struct bits *bits, unsigned n, uint64_t (*read)(void),
                   void (*write)(uint64_t))
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t before = read(), flipped;
        write(before ^ bits[i].mask);
        flipped = read();
        write(before);
        expect2(name, bits[i].name, flipped ^ before, bits[i].mask);
    }
}

enum { TCG_DIES = -2 };

/*
 * MOV to a control or debug register: 0F 22 or 0F 23 /r with RBX as source. Some make TCG lose its way
 * (reserved CR4 bits: it leaves a nested guest that never was), so they are not even tried there.
 */
struct write {
    const char *name;
    uint8_t bytes[4];
    uint8_t length;
    uint64_t value;
    int vector, tcg_vector;
};

static void try_writes(const struct write *writes, unsigned n)
{
    for (const struct write *w = writes; w < writes + n; w++)
        if (w->tcg_vector != TCG_DIES || !quirks_accepted())
            expect_or_quirk("write", w->name, (uint64_t)attempt(w->bytes, w->length, 0, w->value),
                            (uint64_t)w->vector, (uint64_t)w->tcg_vector);
}

static void control_registers(void)
{
    static const struct bits cr0_bits[] = {
        { "MP", CR0_MP }, { "EM", CR0_EM }, { "TS", CR0_TS },
        { "NE", CR0_NE }, { "WP", CR0_WP }, { "AM", CR0_AM },
    };
    static const struct bits cr4_bits[] = {
        { "TSD", CR4_TSD }, { "DE", CR4_DE }, { "PSE", CR4_PSE }, { "PGE", CR4_PGE }, { "PCE", CR4_PCE },
    };
    uint64_t cr0 = read_cr0(), cr4 = read_cr4();
    const struct write writes[] = {
        { "CR0 with PG and without PE", { 0x0f, 0x22, 0xc3 }, 3, cr0 & ~(uint64_t)CR0_PE, GP, NO_TRAP },
        { "CR0 with NW and without CD", { 0x0f, 0x22, 0xc3 }, 3, cr0 | 1 << 29, GP, NO_TRAP },
        { "CR0 bit 32", { 0x0f, 0x22, 0xc3 }, 3, cr0 | UPPER, GP, NO_TRAP },
        { "CR1", { 0x0f, 0x22, 0xcb }, 3, 0, UD, UD },
        { "CR5", { 0x0f, 0x22, 0xeb }, 3, 0, UD, UD },
        { "CR7", { 0x0f, 0x22, 0xfb }, 3, 0, UD, UD },
        { "CR9", { 0x44, 0x0f, 0x22, 0xcb }, 4, 0, UD, UD },
        { "CR3 reserved bit 62", { 0x0f, 0x22, 0xdb }, 3, read_cr3() | 1ull << 62, GP, TCG_DIES },
        { "CR4 without PAE in long mode", { 0x0f, 0x22, 0xe3 }, 3, cr4 & ~(uint64_t)CR4_PAE, GP, TCG_DIES },
        { "CR4 bit 15", { 0x0f, 0x22, 0xe3 }, 3, cr4 | 1 << 15, GP, TCG_DIES },
        { "CR4 bit 32", { 0x0f, 0x22, 0xe3 }, 3, cr4 | UPPER, GP, TCG_DIES },
        { "CR8 = 16", { 0x44, 0x0f, 0x22, 0xc3 }, 4, 16, GP, NO_TRAP },
        { "CR0 unchanged", { 0x0f, 0x22, 0xc3 }, 3, cr0, NO_TRAP, NO_TRAP },
    };

    toggle("CR0", cr0_bits, sizeof(cr0_bits) / sizeof(cr0_bits[0]), read_cr0, write_cr0);
    toggle("CR4", cr4_bits, sizeof(cr4_bits) / sizeof(cr4_bits[0]), read_cr4, write_cr4);
    write_cr0(cr0 & ~(uint64_t)CR0_ET);
    expect("CR0.ET stays set", read_cr0() & CR0_ET, CR0_ET);
    write_cr2(0x123456789abcdef0);
    expect("CR2 reads back", read_cr2(), 0x123456789abcdef0);
    try_writes(writes, sizeof(writes) / sizeof(writes[0]));
    expect("CR0 survived", read_cr0(), cr0);
    expect("CR4 survived", read_cr4(), cr4);
}

static void task_priority(void)
{
    unsigned wrong = 0;

    lapic_enable();
    for (uint64_t i = 0; i < 16; i++) {
        write_cr8(i);
        wrong += read_cr8() != i || lapic_read(LAPIC_TPR) != i << 4;
    }
    expect("CR8 is TPR[7:4]: wrong of 16", wrong, 0);
    lapic_write(LAPIC_TPR, 0x70);
    expect("TPR is CR8", read_cr8(), 7);
    write_cr8(0);
}

static void machine_status_word(void)
{
    uint64_t cr0 = read_cr0();
    uint64_t word = 0;

    asm volatile("smsw %w0" : "+r"(word));
    expect("smsw r16 is CR0[15:0]", word & 0xffff, cr0 & 0xffff);
    word = ~0ull;
    asm volatile("smsw %w0" : "+r"(word));
    expect("smsw r16 keeps the rest of the register", word >> 16, 0xffffffffffff);
    asm volatile("smsw %k0" : "+r"(word));
    expect("smsw r32 is CR0[31:0]", word & 0xffffffff, cr0 & 0xffffffff);
    asm volatile("lmsw %w0" : : "r"(CR0_PE | CR0_TS | CR0_MP));
    expect("lmsw sets TS and MP", read_cr0() & 15, CR0_PE | CR0_TS | CR0_MP);
    asm volatile("clts");
    expect("clts clears TS alone", read_cr0() & 15, CR0_PE | CR0_MP);
    asm volatile("lmsw %w0" : : "r"(0xfff0));
    expect("lmsw cannot clear PE", read_cr0() & 15, CR0_PE);
    expect("lmsw leaves bits 4 to 31 alone", read_cr0() & 0xfffffff0, cr0 & 0xfffffff0);
    write_cr0(cr0);
}

static void debug_registers(void)
{
    static const struct write writes[] = {
        { "DR6 bit 32", { 0x0f, 0x23, 0xf3 }, 3, UPPER, GP, NO_TRAP },
        { "DR7 bit 32", { 0x0f, 0x23, 0xfb }, 3, UPPER, GP, NO_TRAP },
        { "DR8", { 0x44, 0x0f, 0x23, 0xc3 }, 4, 0, UD, UD },
    };
    static const struct write with_de[] = {
        { "DR4 with CR4.DE", { 0x0f, 0x23, 0xe3 }, 3, 0, UD, UD },
        { "DR5 with CR4.DE", { 0x0f, 0x23, 0xeb }, 3, 0, UD, UD },
    };
    struct regs regs = { 0 };

    write_dr0(0x123456789abcdef0), write_dr1(1), write_dr2(2), write_dr3(~0ull);
    expect("DR0 reads back 64 bits", read_dr0(), 0x123456789abcdef0);
    expect("DR1 reads back", read_dr1(), 1);
    expect("DR2 reads back", read_dr2(), 2);
    expect("DR3 reads back", read_dr3(), ~0ull);
    write_dr6(0);
    expect("DR6 keeps its ones", read_dr6() & 0xffff1ff0, 0xffff0ff0);
    write_dr7(0);
    expect("DR7 keeps bit 10", read_dr7(), 0x400);
    try_writes(writes, sizeof(writes) / sizeof(writes[0]));
    run_code(put_code(code, "\x0f\x21\xe8", 3), &regs); /* mov rax, dr5 */
    expect("DR5 is DR7 without CR4.DE", regs.rax, 0x400);
    write_cr4(read_cr4() | CR4_DE);
    try_writes(with_de, sizeof(with_de) / sizeof(with_de[0]));
    write_cr4(read_cr4() & ~(uint64_t)CR4_DE);
}

/* DR7.GD: the next access is a #DB fault, which clears GD and sets DR6.BD. */
static void general_detect(void)
{
    struct regs regs = { 0 };

    /* TCG has no general detect. */
    if (quirks_accepted())
        return;
    write_dr6(0);
    write_dr7(1 << 13);
    put_code(code, "\x0f\x21\xc0", 3); /* mov rax, dr0 */
    expect("MOV from DR0 with DR7.GD", (uint64_t)run_code(code, &regs), DB);
    expect("MOV from DR0 with DR7.GD is a fault", last_trap.frame.rip, (uint64_t)code);
    expect("DR6.BD is set", read_dr6() >> 13 & 1, 1);
    expect("DR7.GD is clear", read_dr7(), 0x400);
    write_dr6(0);
}

static unsigned hits;
static uint64_t hit_rip;

static bool on_breakpoint(struct frame *frame)
{
    hits++;
    hit_rip = frame->rip;
    frame->rflags |= 1 << 16; /* RF: not again at once */
    return true;
}

/* An execution breakpoint in code that has run before: a fault before its instruction, each time, until it is
 * off. */
static void breakpoint(void)
{
    struct regs regs = { 0 };
    uint64_t at = (uint64_t)code + 2;

    put_code(code, "\x90\x90\xff\xc0", 4); /* nop; nop; inc eax */
    run_code(code, &regs);
    trap_set_hook(DB, on_breakpoint);
    write_dr6(0);
    write_dr0(at);
    write_dr7(1);
    run_code(code, &regs);
    run_code(code, &regs);
    expect("breakpoint: hits in two runs", hits, 2);
    expect("breakpoint: at its instruction", hit_rip, at);
    expect("breakpoint: the instruction ran each time", regs.rax & 0xffffffff, 3);
    expect("breakpoint: DR6.B0", read_dr6() & 15, 1);
    write_dr7(0);
    run_code(code, &regs);
    expect("breakpoint: none when it is off", hits, 2);
    trap_set_hook(DB, 0);
    write_dr6(0);
}

static void extended_features(void)
{
    uint64_t efer = read_msr(MSR_EFER);

    expect("EFER has LME and LMA", efer & (EFER_LME | EFER_LMA), EFER_LME | EFER_LMA);
    expect_or_quirk("EFER", "without LME while paging",
                    (uint64_t)try_wrmsr(MSR_EFER, efer & ~(uint64_t)EFER_LME), GP, (uint64_t)NO_TRAP);
    expect_or_quirk("EFER", "reserved bit 63", (uint64_t)try_wrmsr(MSR_EFER, efer | NONCANONICAL), GP,
                    (uint64_t)NO_TRAP);
    write_msr(MSR_EFER, efer ^ EFER_SCE);
    expect("EFER.SCE toggles", read_msr(MSR_EFER) ^ efer, EFER_SCE);
    write_msr(MSR_EFER, efer | EFER_NXE);
    expect("EFER.NXE sets", read_msr(MSR_EFER) & EFER_NXE, EFER_NXE);
    write_msr(MSR_EFER, efer);
    expect("EFER survived", read_msr(MSR_EFER), efer);
}

struct msr_row {
    const char *name;
    uint32_t msr;
    uint64_t value;
};

static void plain_msrs(void)
{
    static const struct msr_row rows[] = {
        { "STAR", MSR_STAR, 0x0018000800000000 },
        { "LSTAR", MSR_LSTAR, 0xffffffff81000000 },
        { "CSTAR", MSR_CSTAR, 0xffff800000001000 },
        { "FMASK", MSR_FMASK, 0x47700 },
        { "SYSENTER_CS", MSR_SYSENTER_CS, 0x10 },
        { "SYSENTER_ESP", MSR_SYSENTER_ESP, 0xffffffff82000000 },
        { "SYSENTER_EIP", MSR_SYSENTER_EIP, 0xffffffff83000000 },
        { "FS_BASE", MSR_FS_BASE, 0x00007fffffffffff },
        { "GS_BASE", MSR_GS_BASE, 0xffff888000000000 },
        { "KERNEL_GS_BASE", MSR_KERNEL_GS_BASE, 0xffffc90000000000 },
        { "PAT", MSR_PAT, 0x0007010600070106 },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t before = read_msr(rows[i].msr);
        write_msr(rows[i].msr, rows[i].value);
        expect2("MSR reads back:", rows[i].name, read_msr(rows[i].msr), rows[i].value);
        write_msr(rows[i].msr, before);
    }
}

static void canonical_msrs(void)
{
    static const struct msr_row rows[] = {
        { "LSTAR", MSR_LSTAR, NONCANONICAL },         { "CSTAR", MSR_CSTAR, NONCANONICAL },
        { "FS_BASE", MSR_FS_BASE, NONCANONICAL },     { "GS_BASE", MSR_GS_BASE, NONCANONICAL },
        { "KERNEL_GS_BASE", MSR_KERNEL_GS_BASE, NONCANONICAL },
        { "PAT with type 2", MSR_PAT, 0x0007040600070402 },
    };

    /* TCG checks neither canonical addresses nor memory types here. */
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t before = read_msr(rows[i].msr);
        expect_or_quirk("bad value raises #GP:", rows[i].name,
                        (uint64_t)try_wrmsr(rows[i].msr, rows[i].value), GP, (uint64_t)NO_TRAP);
        write_msr(rows[i].msr, before);
    }
}

static void unknown_msrs(void)
{
    static const struct msr_row rows[] = {
        { "0x12345", 0x12345, 0 }, { "0x40000fff", 0x40000fff, 0 }, { "0xc0001234", 0xc0001234, 0 },
        { "0xffffffff", 0xffffffff, 0 },
    };

    /* TCG reads an MSR that it does not know as 0 and drops the write. */
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_or_quirk("rdmsr of unknown", rows[i].name, (uint64_t)try_rdmsr(rows[i].msr), GP,
                        (uint64_t)NO_TRAP);
        expect_or_quirk("wrmsr of unknown", rows[i].name, (uint64_t)try_wrmsr(rows[i].msr, 0), GP,
                        (uint64_t)NO_TRAP);
    }
}

static void segment_bases(void)
{
    uint64_t value;

    write_msr(MSR_GS_BASE, (uint64_t)code);
    write_msr(MSR_KERNEL_GS_BASE, (uint64_t)code + 8);
    ((volatile uint64_t *)code)[0] = 0x1111;
    ((volatile uint64_t *)code)[1] = 0x2222;
    asm volatile("movq %%gs:0, %0" : "=r"(value));
    expect("GS_BASE is used", value, 0x1111);
    asm volatile("swapgs; movq %%gs:0, %0" : "=r"(value));
    expect("swapgs brings KERNEL_GS_BASE", value, 0x2222);
    expect("swapgs: GS_BASE", read_msr(MSR_GS_BASE), (uint64_t)code + 8);
    expect("swapgs: KERNEL_GS_BASE", read_msr(MSR_KERNEL_GS_BASE), (uint64_t)code);
    asm volatile("swapgs; movq %%gs:0, %0" : "=r"(value));
    expect("swapgs twice", value, 0x1111);
}

static uint64_t rdtsc(void)
{
    uint32_t low, high;

    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void time_stamps(void)
{
    enum { READS = 10000 };
    uint64_t last = rdtsc(), base = 1ull << 40;
    unsigned backwards = 0;

    for (int i = 0; i < READS; i++) {
        uint64_t now = rdtsc();
        backwards += now < last;
        last = now;
    }
    expect("rdtsc never goes back: of 10000", backwards, 0);
    /* TCG has RDTSC, but not the MSR behind it. */
    expect_or_quirk("rdmsr of the TSC", "is rdtsc", read_msr(MSR_TSC) >= last, 1, 0);
    write_msr(MSR_TSC, base);
    expect_or_quirk("wrmsr of the TSC", "is where rdtsc goes on", rdtsc() - base < 1ull << 34, 1, 0);
}

static void processor_number(void)
{
    uint32_t a = 0x80000001, b, c, d, low, high;

    asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    if (!(d >> 27 & 1))
        return; /* no RDTSCP offered */
    write_msr(MSR_TSC_AUX, 0x1234);
    asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(c));
    expect("rdtscp gives TSC_AUX", c, 0x1234);
}

static void apic_base(void)
{
    uint64_t base = read_msr(MSR_APIC_BASE);

    expect("APIC_BASE address", base & ~0xfffull, 0xfee00000);
    expect("APIC_BASE: this is the boot processor", base >> 8 & 1, 1);
    expect("APIC_BASE: globally enabled", base >> 11 & 1, 1);
    write_msr(MSR_APIC_BASE, base);
    expect("APIC_BASE reads back", read_msr(MSR_APIC_BASE), base);
}

void main(void)
{
    control_registers();
    task_priority();
    machine_status_word();
    debug_registers();
    general_detect();
    breakpoint();
    extended_features();
    plain_msrs();
    canonical_msrs();
    unknown_msrs();
    segment_bases();
    time_stamps();
    processor_number();
    apic_base();
}
