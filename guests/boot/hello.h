/* What a boot protocol handed over, and the greeting that shows it. */
#pragma once
#include <stdint.h>

struct handoff {
    const char *protocol;
    uint64_t magic;      /* the protocol's magic number as found in a register or structure */
    const char *cmdline; /* NULL: the protocol passed none */
    uint64_t memory;     /* bytes of usable RAM over the memory map's entries */
    unsigned entries;    /* entries of the memory map */
};

/* Print two lines about the hand-off and power the machine off. */
_Noreturn void hello(const struct handoff *handoff);
