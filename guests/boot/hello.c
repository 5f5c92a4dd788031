/* Greets on COM1, shows the hand-off in one line and powers off; common to all boot protocols. */
#include "hello.h"

#include "../lib/exit.h"
#include "../lib/serial.h"

void hello(const struct handoff *handoff)
{
    print("hello from ");
    print(handoff->protocol);
    print("\nmagic ");
    print_hex(handoff->magic);
    print(" cmdline \"");
    print(handoff->cmdline ? handoff->cmdline : "");
    print("\" memory ");
    print_decimal(handoff->memory >> 10);
    print(" KiB in ");
    print_decimal(handoff->entries);
    print(" entries\n");
    power_off();
}
