/*
 * Dies by a jump to a physical address where there is neither RAM nor ROM: below the IOAPIC, in no device's
 * window.
 */
#include "fault.h"

enum { NOWHERE = 0xf8000000 };

void main(void)
{
    last_words("jump to nothing at 0xf8000000");
    drop_idt();
    asm volatile("jmp *%0" : : "r"((uint64_t)NOWHERE));
}
