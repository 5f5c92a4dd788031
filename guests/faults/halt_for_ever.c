/* Dies halted with interrupts off: nothing but NMI, INIT or reset could wake it. */
#include "fault.h"

void main(void)
{
    last_words("hlt with interrupts off");
    asm volatile("cli; hlt");
}
