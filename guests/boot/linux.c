/*
 * Linux/x86 boot protocol (Documentation/arch/x86/boot.rst, zero-page.rst): the zero page with its setup
 * header.
 * Built three times: 32-bit entry, 64-bit entry, and for a plain ELF64, which may be given a zero page like
 * a vmlinux.
 * Leaves out initrd, setup_data and every video field.
 */
#include "hello.h"

enum { E820_ENTRIES = 0x1e8, HEADER_MAGIC = 0x202, CMD_LINE_PTR = 0x228, E820_TABLE = 0x2d0 };
enum { HDRS = 0x53726448, TYPE_RAM = 1, MAX_ENTRIES = 128 };

struct e820 {
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));

static uint32_t field(const uint8_t *zero_page, int offset)
{
    return *(const uint32_t *)(zero_page + offset);
}

static void read_zero_page(const uint8_t *zero_page, struct handoff *handoff)
{
    const struct e820 *map = (const struct e820 *)(zero_page + E820_TABLE);

    handoff->magic = field(zero_page, HEADER_MAGIC);
    handoff->cmdline = (const char *)(uintptr_t)field(zero_page, CMD_LINE_PTR);
    for (unsigned i = 0; i < zero_page[E820_ENTRIES] && i < MAX_ENTRIES; i++) {
        handoff->entries++;
        if (map[i].type == TYPE_RAM)
            handoff->memory += map[i].size;
    }
}

static void greet(const uint8_t *zero_page)
{
    struct handoff handoff = { .protocol = PROTOCOL };

    if (zero_page && field(zero_page, HEADER_MAGIC) == HDRS)
        read_zero_page(zero_page, &handoff);
    hello(&handoff);
}

#ifdef __x86_64__
void main(const uint8_t *rsi)
{
    greet(rsi);
}
#else
void main(uint32_t eax, uint32_t ebx, const uint8_t *esi)
{
    (void)eax, (void)ebx;
    greet(esi);
}
#endif
