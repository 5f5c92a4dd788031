/* Runs the workloads on the guest CPU, without an operating system, and prints a line for each. */
#include "cmdline.h"
#include "exit.h"
#include "serial.h"
#include "trap.h"
#include "workloads.h"

enum { CR0_EM = 1 << 2, CR0_MP = 1 << 1, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10 };

/* Intel SDM volume 3, section 13.1: what an operating system sets before anything uses SSE. */
static void enable_sse(void)
{
    uint64_t cr0, cr4;
    asm volatile("movq %%cr0, %0\n\tmovq %%cr4, %1" : "=r"(cr0), "=r"(cr4));
    cr0 = (cr0 & ~(uint64_t)CR0_EM) | CR0_MP;
    asm volatile("movq %0, %%cr0\n\tmovq %1, %%cr4" : : "r"(cr0), "r"(cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT));
}

void attempt(struct attempt *a)
{
    const uint32_t normal = MXCSR_DEFAULT;
    int vector = guarded(attempt_under_mxcsr, a);
    if (vector == NO_TRAP)
        return;
    asm volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(a->mxcsr) : "m"(normal));
    a->raised = vector == XM;
}

static void tell(const char *name, uint64_t result)
{
    print(name);
    print("\n");
    print_hex(result);
    print("\n");
}

void main(void)
{
    enable_sse();
    cmdline_init();
    for (unsigned i = 0; i < workload_count; i++) {
        unsigned rounds = cmdline_number(workloads[i].key, workloads[i].rounds);
        if (!rounds)
            continue;
        tell(workloads[i].name, workloads[i].run(rounds));
    }
    try_instructions(cmdline_number("trials=", TRIALS), tell);
    power_off();
}
