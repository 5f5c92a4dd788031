/*
 * MXCSR as a register: its flags in STMXCSR, FXSAVE and XSAVE, its modes from LDMXCSR, FXRSTOR and XRSTOR,
 * reserved bits, unmasked exceptions (Intel SDM vol. 1, 10.2.3, 11.5, 11.6; vol. 3, 13.1), and that the x87
 * has none of it. What each instruction computes is tests/cpu's.
 */
#include "../lib/report.h"
#include "../lib/trap.h"

enum { CR0_EM = 4, CR0_MP = 2, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_OSXSAVE = 1 << 18 };
enum { IE = 1, ZE = 4, PE = 32, DAZ = 64, DEFAULT = 0x1f80, UP = 2 << 13, FTZ = 1 << 15, RESERVED = 1 << 16 };
enum { ZE_MASK = 1 << 9, AT_MXCSR = 24, AT_XSTATE_BV = 512, X87_AND_SSE = 3 };

static uint8_t image[1024] __attribute__((aligned(64)));
static const uint64_t one = 0x3ff0000000000000, three = 0x4008000000000000, zero;
static const uint64_t third = 0x3fd5555555555555, tiny = 0x0000000000000003;
static uint64_t quotient;
extern const uint8_t divide_insn[];

static void set_cr4(uint64_t set, uint64_t clear)
{
    uint64_t cr4;

    asm volatile("movq %%cr4, %0" : "=r"(cr4));
    asm volatile("movq %0, %%cr4" : : "r"((cr4 | set) & ~clear));
}

static void enable(void)
{
    uint64_t cr0;

    asm volatile("movq %%cr0, %0" : "=r"(cr0));
    asm volatile("movq %0, %%cr0" : : "r"((cr0 & ~(uint64_t)CR0_EM) | CR0_MP));
    set_cr4(CR4_OSFXSR | CR4_OSXMMEXCPT, 0);
    asm volatile("fninit");
}

static void load(void *value)
{
    asm volatile("ldmxcsr %0" : : "m"(*(const uint32_t *)value));
}

static void set(uint32_t value)
{
    load(&value);
}

static uint32_t get(void)
{
    uint32_t value;

    asm volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static void divide(const uint64_t *a, const uint64_t *b)
{
    asm volatile("movsd %1, %%xmm1\n\t"
                 "divsd %2, %%xmm1\n\t"
                 "movsd %%xmm1, %0"
                 : "=m"(quotient)
                 : "m"(*a), "m"(*b));
}

static uint32_t *field(void)
{
    return (uint32_t *)(image + AT_MXCSR);
}

static void fxsave(void)
{
    asm volatile("fxsave64 %0" : "=m"(image));
}

static void fxrstor(void *unused)
{
    (void)unused;
    asm volatile("fxrstor64 %0" : : "m"(image));
}

static void xsave(void)
{
    asm volatile("xsave64 %0" : "+m"(image) : "a"(X87_AND_SSE), "d"(0));
}

static void xrstor(void *unused)
{
    (void)unused;
    asm volatile("xrstor64 %0" : : "m"(image), "a"(X87_AND_SSE), "d"(0));
}

static void flags(void)
{
    set(DEFAULT);
    divide(&one, &one);
    expect("exact: no flag", get(), DEFAULT);
    divide(&one, &three);
    expect("inexact", get(), DEFAULT | PE);
    divide(&one, &zero);
    expect("beside it, zero divide", get(), DEFAULT | PE | ZE);
    divide(&zero, &zero);
    expect("and invalid", get(), DEFAULT | PE | ZE | IE);
    fxsave();
    expect("fxsave has them", *field(), DEFAULT | PE | ZE | IE);
    set(DEFAULT);
    expect("cleared", get(), DEFAULT);
    divide(&one, &one);
    expect("and stay so", get(), DEFAULT);
}

static void modes(void)
{
    set(DEFAULT | UP);
    divide(&one, &three);
    expect("rounding up", quotient, third + 1);
    fxsave();
    set(DEFAULT);
    divide(&one, &three);
    expect("to nearest", quotient, third);
    fxrstor(0);
    expect("fxrstor", get(), DEFAULT | UP | PE);
    divide(&one, &three);
    expect("fxrstor: rounding up again", quotient, third + 1);
    set(DEFAULT | FTZ);
    divide(&tiny, &one);
    expect("ftz: result", quotient, 0);
    set(DEFAULT | DAZ);
    divide(&tiny, &tiny);
    expect("daz: 0 by 0 is invalid", get() & IE, IE);
    set(DEFAULT);
}

static void reserved(void)
{
    uint32_t bad = DEFAULT | RESERVED;

    set(DEFAULT | UP);
    expect_or_quirk("reserved bit", "ldmxcsr", (uint64_t)guarded(load, &bad), GP, (uint64_t)NO_TRAP);
    set(DEFAULT | UP);
    fxsave();
    *field() |= RESERVED;
    expect_or_quirk("reserved bit", "fxrstor", (uint64_t)guarded(fxrstor, 0), GP, (uint64_t)NO_TRAP);
    expect_or_quirk("reserved bit", "nothing loaded", get(), DEFAULT | UP, DEFAULT | UP | RESERVED);
    set(DEFAULT);
}

static void divide_ones(void *unused)
{
    (void)unused;
    divide(&one, &one);
}

static void divide_unmasked(void *unused)
{
    (void)unused;
    asm volatile("movsd %0, %%xmm1\n\t"
                 "divide_insn: divsd %1, %%xmm1"
                 :
                 : "m"(one), "m"(zero));
}

static void unmasked(void)
{
    uint64_t left;

    set((DEFAULT & ~ZE_MASK) | ZE);
    expect("a flag that is set raises nothing", (uint64_t)guarded(divide_ones, 0),
           (uint64_t)NO_TRAP);
    set(DEFAULT & ~ZE_MASK);
    if ((uint64_t)guarded(divide_unmasked, 0) == XM || !quirks_accepted()) {
        asm volatile("movsd %%xmm1, %0" : "=m"(left));
        expect("#XM", last_trap.frame.vector, XM);
        expect("#XM: at the instruction", last_trap.frame.rip, (uint64_t)divide_insn);
        expect("#XM: destination stays", left, one);
        expect("#XM: flag", get(), (DEFAULT & ~ZE_MASK) | ZE);
        set_cr4(0, CR4_OSXMMEXCPT);
        set(DEFAULT & ~ZE_MASK);
        expect("#UD without CR4.OSXMMEXCPT", (uint64_t)guarded(divide_unmasked, 0), UD);
        set_cr4(CR4_OSXMMEXCPT, 0);
    }
    set(DEFAULT & ~ZE_MASK);
    divide(&one, &three);
    expect("masked ones go on", quotient, third);
    expect("masked ones: flag", get(), (DEFAULT & ~ZE_MASK) | PE);
    set(DEFAULT);
}

/* A denormal double through the x87, by FLD and FSTP. */
static uint64_t through_x87(void)
{
    uint64_t out;

    asm volatile("fldl %1\n\tfstpl %0" : "=m"(out) : "m"(tiny));
    return out;
}

static void x87(void)
{
    set(DEFAULT | FTZ | DAZ);
    expect("x87: no ftz by ldmxcsr", through_x87(), tiny);
    fxsave();
    set(DEFAULT);
    fxrstor(0);
    expect("x87: nor by fxrstor", through_x87(), tiny);
    set(DEFAULT);
    asm volatile("fldl %0\n\tfsin\n\tfstp %%st(0)" : : "m"(one));
    expect("x87: its flags are its own", get(), DEFAULT);
}

static bool has_xsave(void)
{
    uint32_t eax = 1, ecx = 0;

    asm volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx");
    return ecx >> 26 & 1;
}

static void extended(void)
{
    set_cr4(CR4_OSXSAVE, 0);
    asm volatile("xsetbv" : : "a"(X87_AND_SSE), "d"(0), "c"(0));
    set(DEFAULT | UP);
    divide(&one, &three);
    xsave();
    expect("xsave", *field(), DEFAULT | UP | PE);
    set(DEFAULT);
    xrstor(0);
    expect("xrstor", get(), DEFAULT | UP | PE);
    divide(&one, &three);
    expect("xrstor: rounding up again", quotient, third + 1);
    *(uint64_t *)(image + AT_XSTATE_BV) = 0;
    *field() = DEFAULT | FTZ;
    xrstor(0);
    expect("xrstor: mxcsr though the rest is initial", get(), DEFAULT | FTZ);
    *field() |= RESERVED;
    expect_or_quirk("reserved bit", "xrstor", (uint64_t)guarded(xrstor, 0), GP, (uint64_t)NO_TRAP);
    set(DEFAULT);
}

void main(void)
{
    enable();
    flags();
    modes();
    reserved();
    unmasked();
    x87();
    if (has_xsave())
        extended();
}
