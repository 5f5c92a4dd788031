/*
 * IDT of 64-bit interrupt gates (Intel SDM vol. 3, 6.14.1) and what happens after delivery; see trap.h.
 * Leaves out trap gates and per-CPU IDTs: further CPUs share the table, and only the first uses guarded().
 */
#include "trap.h"

#include "exit.h"
#include "gdt.h"
#include "serial.h"

enum { VECTOR_STEP = 16, INTERRUPT_GATE = 0x8e00, GATE_PRESENT = 0x8000 };

struct gate {
    uint16_t offset0, selector, flags, offset16;
    uint32_t offset32, reserved;
};

extern char vector_entries[];
extern uint64_t guard_rsp;
_Noreturn void guard_return(int result);
void trap_dispatch(struct frame *frame);

struct trap last_trap;
static struct gate idt[256] __attribute__((aligned(16)));
static trap_hook *hooks[256];

void trap_set_gate(unsigned vector, unsigned ist, unsigned dpl)
{
    uint64_t entry = (uint64_t)vector_entries + vector * VECTOR_STEP;

    idt[vector] = (struct gate){ (uint16_t)entry, KERNEL_CS, (uint16_t)(INTERRUPT_GATE | dpl << 13 | ist),
                                 (uint16_t)(entry >> 16), (uint32_t)(entry >> 32), 0 };
}

void trap_gate_present(unsigned vector, bool present)
{
    if (present)
        idt[vector].flags |= GATE_PRESENT;
    else
        idt[vector].flags &= (uint16_t)~GATE_PRESENT;
}

void trap_set_hook(unsigned vector, trap_hook *hook)
{
    hooks[vector] = hook;
}

void trap_load_idt(void)
{
    struct pointer pointer = { sizeof(idt) - 1, (uint64_t)idt };

    asm volatile("lidt %0" : : "m"(pointer));
}

void trap_init(void)
{
    for (unsigned vector = 0; vector < 256; vector++)
        trap_set_gate(vector, 0, vector == USER_EXIT ? 3 : 0);
    trap_load_idt();
}

static _Noreturn void unexpected(const struct frame *frame)
{
    uint64_t cr2;

    asm("movq %%cr2, %0" : "=r"(cr2));
    print("FAIL unexpected_trap: got vector ");
    print_decimal(frame->vector);
    print(" error ");
    print_hex(frame->error);
    print(" rip ");
    print_hex(frame->rip);
    print(" cr2 ");
    print_hex(cr2);
    print(" want none\nDONE 0 passed, 1 failed\n");
    debug_exit(EXIT_FAILED);
}

void trap_dispatch(struct frame *frame)
{
    trap_hook *hook = hooks[frame->vector];

    if (hook && hook(frame))
        return;
    if (!guard_rsp)
        unexpected(frame);
    last_trap.frame = *frame;
    last_trap.handler_rsp = (uint64_t)frame;
    asm volatile("movq %%cr2, %0" : "=r"(last_trap.cr2));
    guard_return((int)frame->vector);
}
