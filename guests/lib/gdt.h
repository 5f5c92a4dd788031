/* Selectors of the guests' GDT, in the order that SYSCALL, SYSRET, SYSENTER and SYSEXIT demand. */
#pragma once

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS32 0x18
#define USER_DS 0x20
#define USER_CS 0x28
#define USER_DS2 0x30
#define KERNEL_CS32 0x38
#define KERNEL_CS16 0x40
#define KERNEL_DS16 0x48
#define TSS_SELECTOR 0x50
#define SPARE_SELECTOR 0x60 /* first of the slots a guest may fill */
#define GDT_FREE_SLOTS 14

#ifndef __ASSEMBLER__
#include <stdint.h>

/* 64-bit TSS (Intel SDM vol. 3, 8.7) with the whole I/O permission bitmap behind it. */
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7]; /* IST1 is element 0 */
    uint64_t reserved2;
    uint16_t reserved3, bitmap_offset;
    uint8_t bitmap[8193];
} __attribute__((packed));

struct pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

extern uint64_t gdt[];
extern struct pointer gdt_pointer;
extern struct tss tss;

/* Load TR with a TSS: RSP0, IST1 and IST2 get stacks of their own, the bitmap denies every port. */
void tss_init(void);
/* Write a 16-byte system descriptor (type 2 LDT, 9 TSS) at `selector`. */
void system_descriptor(uint16_t selector, unsigned type, const void *base, uint32_t limit);
#endif
