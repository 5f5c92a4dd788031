/* Reads the Multiboot 1 command line (information flags bit 2, pointer at offset 16). Leaves out quoting. */
#include "cmdline.h"

#include <stdint.h>

enum { HAS_CMDLINE = 1 << 2, CMDLINE = 4 };

extern uint32_t boot_info;

/* The first word that starts with `prefix`; what follows the prefix, or NULL. */
static const char *find(const char *prefix)
{
    const uint32_t *info = (const uint32_t *)(uint64_t)boot_info;
    const char *at = info[0] & HAS_CMDLINE ? (const char *)(uint64_t)info[CMDLINE] : "";

    while (*at) {
        const char *p = prefix, *q = at;
        while (*p && *p == *q)
            p++, q++;
        if (!*p)
            return q;
        while (*at && *at != ' ')
            at++;
        while (*at == ' ')
            at++;
    }
    return 0;
}

bool cmdline_has(const char *word)
{
    const char *end = find(word);

    return end && (*end == 0 || *end == ' ');
}

unsigned cmdline_number(const char *key, unsigned otherwise)
{
    const char *digits = find(key);
    unsigned value = 0;

    if (!digits || *digits < '0' || *digits > '9')
        return otherwise;
    while (*digits >= '0' && *digits <= '9')
        value = value * 10 + (unsigned)(*digits++ - '0');
    return value;
}
