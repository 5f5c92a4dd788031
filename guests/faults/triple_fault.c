/* Dies of a triple fault: an exception with an IDT of limit 0. */
#include "fault.h"

void main(void)
{
    last_words("triple fault");
    drop_idt();
    asm volatile("ud2");
}
