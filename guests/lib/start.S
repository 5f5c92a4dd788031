/*
 * Start of a self-checking guest: Multiboot 1 entry (32-bit), then long mode on an identity map of 4 GiB,
 * then main().
 * The map's 2 MiB pages are writable, executable and open to CPL 3; a guest that wants less says so with
 * map_page().
 * GDT: see gdt.h, whose selectors this file's table must match. Leaves out NX, SMEP, SMAP and everything
 * above 4 GiB.
 */
#include "gdt.h"
#define FLAGS 0x3
#define PRESENT_WRITABLE_USER 0x07
#define LARGE 0x80

    .section .header, "a"
    .balign 4
    .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)

    .text
    .code32
    .globl _start
_start:
    cli
    cld
    movl $stack_top, %esp
    movl %ebx, boot_info
    call build_identity_map
    lgdt gdt_pointer
    call enter_long_mode
    ljmp $KERNEL_CS, $start64

build_identity_map:
    movl $pdpt + PRESENT_WRITABLE_USER, pml4
    movl $page_directories + PRESENT_WRITABLE_USER, %eax
    xorl %ecx, %ecx
1:  movl %eax, pdpt(, %ecx, 8)
    addl $4096, %eax
    incl %ecx
    cmpl $4, %ecx
    jne 1b
    movl $PRESENT_WRITABLE_USER | LARGE, %eax
    xorl %ecx, %ecx
1:  movl %eax, page_directories(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $2048, %ecx
    jne 1b
    ret

    .globl enter_long_mode
enter_long_mode:                        /* also the way in for other CPUs; clobbers EAX, ECX, EDX */
    movl %cr4, %eax
    orl $0x20, %eax                     /* PAE */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              /* EFER */
    rdmsr
    orl $0x101, %eax                    /* LME, SCE */
    wrmsr
    movl %cr0, %eax
    andl $~0x60000000, %eax             /* caches on */
    orl $0x80010001, %eax               /* PG, WP, PE */
    movl %eax, %cr0
    ret

    .code64
start64:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    call start_c
    hlt

    .data
    .balign 16
    .globl gdt, gdt_pointer
gdt:
    .quad 0
    .quad 0x00af9b000000ffff            /* 08 KERNEL_CS   64-bit code */
    .quad 0x00cf93000000ffff            /* 10 KERNEL_DS   flat data */
    .quad 0x00cffb000000ffff            /* 18 USER_CS32   32-bit code, DPL 3 */
    .quad 0x00cff3000000ffff            /* 20 USER_DS     flat data, DPL 3 */
    .quad 0x00affb000000ffff            /* 28 USER_CS     64-bit code, DPL 3 */
    .quad 0x00cff3000000ffff            /* 30 USER_DS2    flat data, DPL 3: SYSEXIT wants it here */
    .quad 0x00cf9b000000ffff            /* 38 KERNEL_CS32 32-bit code */
    .quad 0x00009b000000ffff            /* 40 KERNEL_CS16 16-bit code, base 0 */
    .quad 0x000093000000ffff            /* 48 KERNEL_DS16 16-bit data, base 0 */
    .fill GDT_FREE_SLOTS, 8, 0          /* 50 on: TSS descriptors, and what a guest adds */
gdt_end:
gdt_pointer:
    .short gdt_end - gdt - 1
    .quad gdt

    .bss
    .globl pml4, boot_info, stack_top
    .balign 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
    .globl page_directories
page_directories:
    .skip 4 * 4096
    .skip 32768
stack_top:
boot_info:
    .skip 8
