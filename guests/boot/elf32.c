/*
 * A plain ELF32 image: the System V gABI gives an entry point and nothing else, so EAX is shown as it was
 * found.
 */
#include "hello.h"

void main(uint32_t eax)
{
    struct handoff handoff = { .protocol = "elf32", .magic = eax };

    hello(&handoff);
}
