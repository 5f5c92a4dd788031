/*
 * INIT and SIPI to all other processors (Intel SDM vol. 3, 9.4.4), real mode to 64-bit in trampoline.S.
 * Leaves out the waits of 10 ms and 200 us between the IPIs, which only real silicon needs.
 */
#include "smp.h"

#include "cmdline.h"
#include "lapic.h"
#include "report.h"
#include "run.h"
#include "gdt.h"
#include "trap.h"

enum { TRAMPOLINE = 0x8000, PATIENCE = 100000000 };
enum { OTHERS = 3 << 18, ASSERT = 1 << 14, INIT = 5 << 8, SIPI = 6 << 8 };

extern uint8_t trampoline_begin[], trampoline_end[], trampoline_gdt_pointer[];
extern volatile uint32_t cpus_arrived;
void ap_main(unsigned cpu);

static void (*task)(unsigned cpu);
static volatile uint32_t finished, barrier;

void ap_main(unsigned cpu)
{
    trap_load_idt();
    task(cpu);
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    for (;;)
        asm volatile("cli; hlt");
}

/* Spin until *counter reaches `wanted`; false when it does not within reason. */
static int reached(const volatile uint32_t *counter, uint32_t wanted)
{
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (*counter >= wanted)
            return 1;
        asm volatile("pause");
    }
    return 0;
}

unsigned smp_wanted(void)
{
    unsigned cpus = cmdline_number("cpus=", 2);

    return cpus < MAX_CPUS ? cpus : MAX_CPUS;
}

unsigned smp_run(void (*fn)(unsigned cpu))
{
    unsigned wanted = smp_wanted();

    task = fn;
    copy_bytes((void *)TRAMPOLINE, trampoline_begin, (size_t)(trampoline_end - trampoline_begin));
    copy_bytes((void *)(TRAMPOLINE + (trampoline_gdt_pointer - trampoline_begin)), &gdt_pointer, 6);
    lapic_enable();
    lapic_write(LAPIC_ICR, OTHERS | ASSERT | INIT);
    lapic_write(LAPIC_ICR, OTHERS | ASSERT | SIPI | TRAMPOLINE >> 12);
    if (!reached(&cpus_arrived, wanted - 1)) {
        expect("processors that came up", cpus_arrived + 1, wanted);
        done();
    }
    fn(0);
    if (!reached(&finished, wanted - 1))
        expect("processors that finished", finished + 1, wanted);
    return finished + 1;
}

void smp_barrier(unsigned cpus, unsigned round)
{
    __atomic_fetch_add(&barrier, 1, __ATOMIC_SEQ_CST);
    while (barrier < cpus * round)
        asm volatile("pause");
}
