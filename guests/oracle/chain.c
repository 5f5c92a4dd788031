/*
 * Boots its first Multiboot module the ways that QEMU's own loader cannot: a plain ELF32 or ELF64, a bzImage
 * at its 64-bit entry, a flat binary in 32- or 64-bit mode. `enter=elf`, `linux64`, `flat32` or `flat64` on
 * the command line chooses.
 * Part of the checks against QEMU, no guest itself; trusts its input, which this Makefile built.
 */
#include "../lib/cmdline.h"
#include "../lib/report.h"
#include "../lib/run.h"

enum { LOAD = 0x100000, ZERO_PAGE = 0x90000, PT_LOAD = 1, CLASS64 = 2 };
enum { E820_ENTRIES = 0x1e8, SETUP_SECTS = 0x1f1, HEADER_END = 0x201, CMD_LINE_PTR = 0x228 };
enum { E820_TABLE = 0x2d0 };

struct module {
    uint32_t start, end, cmdline, reserved;
};

struct e820 {
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));

struct segment {
    uint64_t type, offset, paddr, filesz, memsz;
};

extern uint32_t boot_info;
_Noreturn void enter64(uint64_t entry, uint64_t rsi);
_Noreturn void enter32(uint32_t entry);

static const struct module *module(void)
{
    const uint32_t *info = (const uint32_t *)(uint64_t)boot_info;

    return (const struct module *)(uint64_t)info[6];
}

static uint64_t load(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

static struct segment segment(const uint8_t *image, unsigned i, bool wide)
{
    const uint8_t *p = image + (wide ? load(image + 32, 8) + i * 56ull : load(image + 28, 4) + i * 32ull);

    if (wide)
        return (struct segment){ load(p, 4), load(p + 8, 8), load(p + 24, 8), load(p + 32, 8),
                                 load(p + 40, 8) };
    return (struct segment){ load(p, 4), load(p + 4, 4), load(p + 12, 4), load(p + 16, 4), load(p + 20, 4) };
}

static void enter_elf(const uint8_t *image)
{
    bool wide = image[4] == CLASS64;

    for (unsigned i = 0; i < load(image + (wide ? 56 : 44), 2); i++) {
        struct segment s = segment(image, i, wide);
        if (s.type != PT_LOAD)
            continue;
        copy_bytes((void *)s.paddr, image + s.offset, s.filesz);
        for (uint64_t j = s.filesz; j < s.memsz; j++)
            ((volatile uint8_t *)s.paddr)[j] = 0;
    }
    if (wide)
        enter64(load(image + 24, 8), 0);
    enter32((uint32_t)load(image + 24, 4));
}

static void enter_linux64(const uint8_t *image, size_t size)
{
    static const struct e820 map = { LOAD, 63 << 20, 1 };
    static const char cmdline[] = "chained";
    size_t setup = (image[SETUP_SECTS] + 1u) * 512;
    volatile uint8_t *zero_page = (uint8_t *)ZERO_PAGE;
    uint32_t pointer = (uint32_t)(uint64_t)cmdline;

    for (int i = 0; i < 4096; i++)
        zero_page[i] = 0;
    copy_bytes((void *)(ZERO_PAGE + SETUP_SECTS), image + SETUP_SECTS,
               HEADER_END + 1u + image[HEADER_END] - SETUP_SECTS);
    copy_bytes((void *)(ZERO_PAGE + CMD_LINE_PTR), &pointer, sizeof(pointer));
    copy_bytes((void *)(ZERO_PAGE + E820_TABLE), &map, sizeof(map));
    zero_page[E820_ENTRIES] = 1;
    copy_bytes((void *)LOAD, image + setup, size - setup);
    enter64(LOAD + 0x200, ZERO_PAGE);
}

void main(void)
{
    const uint8_t *image = (const uint8_t *)(uint64_t)module()->start;
    size_t size = module()->end - module()->start;

    if (cmdline_has("enter=elf"))
        enter_elf(image);
    if (cmdline_has("enter=linux64"))
        enter_linux64(image, size);
    copy_bytes((void *)LOAD, image, size);
    if (cmdline_has("enter=flat32"))
        enter32(LOAD);
    if (cmdline_has("enter=flat64"))
        enter64(LOAD, 0);
    expect("a way to enter the module", 0, 1);
}
