/*
 * TSS and system descriptors of 64-bit mode (Intel SDM vol. 3, 3.4.5 and 8.7). Leaves out hardware task
 * switches.
 */
#include "gdt.h"

enum { PRESENT = 1 << 7, STACK = 8192 };

struct tss tss;
static uint8_t stacks[3][STACK] __attribute__((aligned(16)));

void system_descriptor(uint16_t selector, unsigned type, const void *base, uint32_t limit)
{
    uint64_t address = (uint64_t)base;
    uint64_t *slot = &gdt[selector / 8];

    slot[0] = (limit & 0xffff) | (address & 0xffffff) << 16 | (uint64_t)(type | PRESENT) << 40 |
              (uint64_t)(limit >> 16 & 15) << 48 | (address >> 24 & 0xff) << 56;
    slot[1] = address >> 32;
}

void tss_init(void)
{
    tss.rsp[0] = (uint64_t)(stacks[0] + STACK);
    tss.ist[0] = (uint64_t)(stacks[1] + STACK);
    tss.ist[1] = (uint64_t)(stacks[2] + STACK);
    tss.bitmap_offset = __builtin_offsetof(struct tss, bitmap);
    for (unsigned i = 0; i < sizeof(tss.bitmap); i++)
        tss.bitmap[i] = 0xff;
    system_descriptor(TSS_SELECTOR, 9, &tss, sizeof(tss) - 1);
    asm volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}
