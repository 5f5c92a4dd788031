/* What dying guests share: a last line on COM1, and a machine without exception handlers. */
#pragma once
#include "../lib/gdt.h"
#include "../lib/serial.h"

/* Say how this guest is about to die: the last thing it says. */
static inline void last_words(const char *cause)
{
    print("dying by ");
    print(cause);
    print_char('\n');
}

static inline void drop_idt(void)
{
    const struct pointer none = { 0, 0 };

    asm volatile("lidt %0" : : "m"(none));
}
