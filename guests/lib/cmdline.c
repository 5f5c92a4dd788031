/* Reads the Multiboot 1 command line (information flags bit 2, pointer at offset 16). Leaves out quoting. */
#include "cmdline.h"

#include <stdint.h>

enum { HAS_CMDLINE = 1 << 2, CMDLINE = 4, MAX_LENGTH = 255 };

extern uint32_t boot_info;
static char line[MAX_LENGTH + 1];

void cmdline_init(void)
{
    const uint32_t *info = (const uint32_t *)(uint64_t)boot_info;
    const char *from = info[0] & HAS_CMDLINE ? (const char *)(uint64_t)info[CMDLINE] : "";

    for (unsigned i = 0; i < MAX_LENGTH && from[i]; i++)
        line[i] = from[i];
}

/* What follows `prefix` in the first word that starts with it, or NULL. */
static const char *find(const char *prefix)
{
    const char *at = line;

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
