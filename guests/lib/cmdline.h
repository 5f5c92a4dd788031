/* Words of the Multiboot command line. */
#pragma once
#include <stdbool.h>

/* Copy the line, before a guest makes use of the low memory that a loader may have put it in. */
void cmdline_init(void);
/* True when the command line holds `word` between spaces or ends. */
bool cmdline_has(const char *word);
/* The number after `key` (such as "cpus="), or `otherwise` when the key is absent. */
unsigned cmdline_number(const char *key, unsigned otherwise);
