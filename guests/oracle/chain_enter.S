/* The two jumps of chain.c: 64-bit mode with RSI set, and 32-bit protected mode without paging. */
#include "../lib/gdt.h"
    .text
    .code64
    .globl enter64, enter32
enter64:                                /* RDI entry, RSI argument */
    jmp *%rdi

enter32:                                /* EDI entry */
    movl $KERNEL_CS32, %eax
    pushq %rax
    leaq compat(%rip), %rax
    pushq %rax
    lretq
    .code32
compat:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    xorl %esi, %esi
    xorl %ebx, %ebx
    xorl %eax, %eax
    jmp *%edi
