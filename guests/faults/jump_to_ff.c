/* Dies by a jump into RAM that holds nothing but FF bytes, which are no instruction. */
#include "fault.h"

static uint8_t page[4096] __attribute__((aligned(4096)));

void main(void)
{
    for (unsigned i = 0; i < sizeof(page); i++)
        ((volatile uint8_t *)page)[i] = 0xff;
    last_words("jump into ff bytes");
    drop_idt();
    asm volatile("jmp *%0" : : "r"(page));
}
