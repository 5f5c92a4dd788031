/*
 * Timer interrupts at a high rate during read-modify-write instructions, N of each (make N=…): no update may
 * be lost or doubled, no flag or register disturbed. First the PIT through the PIC, then the local APIC's
 * timer.
 */
#include "../lib/lapic.h"
#include "../lib/pic.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

#ifndef N
#define N 10000000
#endif
enum { PIT_DIVISOR = 100, LAPIC_VECTOR = 0x40, LAPIC_COUNT = 20000, COPIES = 200, BYTES = 65536 };

static volatile uint64_t interrupts, shared, plain, added, exchanged, carries, wide;

static void count(void)
{
    asm volatile("incq %0; incq %1" : "+m"(interrupts), "+m"(shared) : : "cc");
}

static bool on_pit(struct frame *frame)
{
    (void)frame;
    count();
    pic_eoi();
    return true;
}

static bool on_lapic(struct frame *frame)
{
    (void)frame;
    count();
    lapic_write(LAPIC_EOI, 0);
    return true;
}

/* Each of these touches memory twice in one instruction, or carries a flag from one to the next. */
static uint64_t update_loop(void)
{
    uint64_t register_count = 0, n = N;

    asm volatile(
        "1:  incq %[shared]\n"
        "    addq $1, %[plain]\n"
        "    addl $3, %[added]\n"
        "    movq $1, %%rax\n"
        "    xaddq %%rax, %[exchanged]\n"
        "    stc\n"
        "    adcq $0, %[carries]\n"
        "    notq %[wide]\n"
        "    pushq %[wide]\n"
        "    notq (%%rsp)\n"
        "    popq %[wide]\n"
        "    incq %[register_count]\n"
        "    decq %[n]\n"
        "    jnz 1b\n"
        : [register_count] "+r"(register_count), [n] "+r"(n), [shared] "+m"(shared), [plain] "+m"(plain),
          [added] "+m"(added), [exchanged] "+m"(exchanged), [carries] "+m"(carries), [wide] "+m"(wide)
        :
        : "rax", "cc", "memory");
    return register_count;
}

static uint8_t source[BYTES], target[BYTES];

/* REP MOVSB and REP STOSB are interrupted in the middle and go on: every byte once. */
static unsigned string_loop(void)
{
    unsigned wrong = 0;

    for (unsigned round = 0; round < COPIES; round++) {
        uint64_t rdi = (uint64_t)source, rcx = BYTES, rsi = (uint64_t)source;
        asm volatile("rep stosb" : "+D"(rdi), "+c"(rcx) : "a"(round) : "memory");
        rdi = (uint64_t)target, rcx = BYTES;
        asm volatile("rep movsb" : "+D"(rdi), "+S"(rsi), "+c"(rcx) : : "memory");
        wrong += rcx || rdi != (uint64_t)target + BYTES || rsi != (uint64_t)source + BYTES;
        for (unsigned i = 0; i < BYTES; i += 509)
            wrong += ((volatile uint8_t *)target)[i] != (round & 0xff);
    }
    return wrong;
}

static void run(const char *timer)
{
    uint64_t registers;
    unsigned wrong;

    interrupts = shared = plain = added = exchanged = carries = wide = 0;
    asm volatile("sti");
    registers = update_loop();
    wrong = string_loop();
    asm volatile("cli");
    expect2(timer, "interrupted at all", interrupts > 10, 1);
    expect2(timer, "counter shared with the handler", shared, N + interrupts);
    expect2(timer, "add to memory", plain, N);
    expect2(timer, "add of 32 bits", added, (uint32_t)(3ull * N));
    expect2(timer, "xadd", exchanged, N);
    expect2(timer, "carry kept from stc to adc", carries, N);
    expect2(timer, "not, push, not, pop", wide, 0);
    expect2(timer, "register count", registers, N);
    expect2(timer, "string instructions: wrong", wrong, 0);
}

void main(void)
{
    trap_set_hook(IRQ_BASE + IRQ_TIMER, on_pit);
    pit_periodic(PIT_DIVISOR);
    pic_unmask(IRQ_TIMER);
    run("PIT:");
    pic_mask_all();
    trap_set_hook(LAPIC_VECTOR, on_lapic);
    lapic_enable();
    lapic_timer(LAPIC_VECTOR, LAPIC_COUNT);
    run("LAPIC:");
    lapic_timer(LAPIC_VECTOR, 0);
}
