/*
 * Multiboot 1 hand-off (Multiboot 0.6.96, section 3.3): EAX magic, EBX information structure.
 * Reads the command line and the memory map; leaves out modules, symbols, drives and video.
 */
#include "hello.h"

enum { MAGIC = 0x2badb002, HAS_CMDLINE = 1 << 2, HAS_MMAP = 1 << 6, TYPE_RAM = 1, MAX_ENTRIES = 128 };

struct info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
    uint32_t mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr;
};

struct entry {
    uint32_t size; /* of the rest of the entry */
    uint64_t addr, length;
    uint32_t type;
} __attribute__((packed));

#ifndef PROTOCOL
#define PROTOCOL "multiboot1"
#endif

static void sum_memory(const struct info *info, struct handoff *handoff)
{
    uint32_t at = info->mmap_addr, end = at + info->mmap_length;

    while (at < end && handoff->entries < MAX_ENTRIES) {
        const struct entry *entry = (const struct entry *)at;
        if (entry->type == TYPE_RAM)
            handoff->memory += entry->length;
        handoff->entries++;
        at += entry->size + sizeof(entry->size);
    }
}

void main(uint32_t magic, const struct info *info)
{
    struct handoff handoff = { .protocol = PROTOCOL, .magic = magic };

    if (magic == MAGIC && info->flags & HAS_CMDLINE)
        handoff.cmdline = (const char *)info->cmdline;
    if (magic == MAGIC && info->flags & HAS_MMAP)
        sum_memory(info, &handoff);
    hello(&handoff);
}
