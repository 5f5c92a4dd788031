/* The local APIC in xAPIC mode, by memory at its default address. */
#pragma once
#include <stdint.h>

enum lapic_register {
    LAPIC_ID = 0x20,
    LAPIC_TPR = 0x80,
    LAPIC_EOI = 0xb0,
    LAPIC_SVR = 0xf0,
    LAPIC_ICR = 0x300,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_TIMER_INITIAL = 0x380,
    LAPIC_TIMER_DIVIDE = 0x3e0,
};

uint32_t lapic_read(enum lapic_register reg);
void lapic_write(enum lapic_register reg, uint32_t value);
void lapic_enable(void); /* spurious vector 0xff */
/* Periodic interrupts at `vector`, every `count` bus clocks; count 0 stops the timer. */
void lapic_timer(unsigned vector, uint32_t count);
