/*
 * PVH hand-off (Xen docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h): EBX points to start_info.
 * Reads the command line and the memory map of version 1; leaves out modules and the RSDP.
 */
#include "hello.h"

enum { MAGIC = 0x336ec578, TYPE_RAM = 1, MAX_ENTRIES = 128 };

struct start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist, cmdline, rsdp;
    uint64_t memmap; /* from here on since version 1 */
    uint32_t memmap_entries, reserved;
};

struct entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};

void main(uint32_t eax, const struct start_info *info)
{
    struct handoff handoff = { .protocol = "pvh", .magic = info->magic };
    const struct entry *map = (const struct entry *)(uintptr_t)info->memmap;

    (void)eax;
    if (info->magic == MAGIC)
        handoff.cmdline = (const char *)(uintptr_t)info->cmdline;
    if (info->magic == MAGIC && info->version >= 1)
        for (; handoff.entries < info->memmap_entries && handoff.entries < MAX_ENTRIES; handoff.entries++)
            if (map[handoff.entries].type == TYPE_RAM)
                handoff.memory += map[handoff.entries].size;
    hello(&handoff);
}
