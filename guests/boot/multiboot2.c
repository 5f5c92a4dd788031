/*
 * Multiboot 2 hand-off (Multiboot2 2.0, section 3.6): EAX magic, EBX a list of tags.
 * Reads the command line and the memory map; leaves out all other tags.
 */
#include "hello.h"

enum { MAGIC = 0x36d76289, TAG_END = 0, TAG_CMDLINE = 1, TAG_MMAP = 6, TYPE_RAM = 1, MAX_INFO = 1 << 20 };

struct tag {
    uint32_t type, size; /* size excludes the padding to 8 */
};

struct mmap_tag {
    struct tag tag;
    uint32_t entry_size, entry_version;
};

struct entry {
    uint64_t addr, length;
    uint32_t type, reserved;
};

static void sum_memory(const struct mmap_tag *mmap, struct handoff *handoff)
{
    const uint8_t *at = (const uint8_t *)(mmap + 1), *end = (const uint8_t *)mmap + mmap->tag.size;

    for (; mmap->entry_size && at + sizeof(struct entry) <= end; at += mmap->entry_size) {
        const struct entry *entry = (const struct entry *)at;
        if (entry->type == TYPE_RAM)
            handoff->memory += entry->length;
        handoff->entries++;
    }
}

static void read_tag(const struct tag *tag, struct handoff *handoff)
{
    if (tag->type == TAG_CMDLINE)
        handoff->cmdline = (const char *)(tag + 1);
    if (tag->type == TAG_MMAP)
        sum_memory((const struct mmap_tag *)tag, handoff);
}

void main(uint32_t magic, const uint32_t *info)
{
    struct handoff handoff = { .protocol = "multiboot2", .magic = magic };
    const uint8_t *at = (const uint8_t *)(info + 2);

    if (magic == MAGIC && info[0] <= MAX_INFO)
        for (const uint8_t *end = (const uint8_t *)info + info[0]; at < end;) {
            const struct tag *tag = (const struct tag *)at;
            if (tag->type == TAG_END || tag->size < sizeof(*tag))
                break;
            read_tag(tag, &handoff);
            at += (tag->size + 7) & ~7u;
        }
    hello(&handoff);
}
