/*
 * Where SIPI starts a processor: real mode at 0800:0000, a copy of this code; from there to ap_main(cpu) in
 * 64-bit mode.
 */
#include "gdt.h"
#define TRAMPOLINE 0x8000
#define AT(label) (label - trampoline_begin + TRAMPOLINE)
#define STACK_SHIFT 14
#define MAX_CPUS 8

    .text
    .globl trampoline_begin, trampoline_end, trampoline_gdt_pointer, cpus_arrived
    .code16
trampoline_begin:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl AT(trampoline_gdt_pointer)
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $KERNEL_CS32, $ap32
    .balign 4
trampoline_gdt_pointer:                 /* filled in by smp_run() */
    .short 0
    .long 0
trampoline_end:

    .code32
ap32:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $1, %ebx
    lock xaddl %ebx, cpus_arrived
    incl %ebx
    cmpl $MAX_CPUS, %ebx
    jae 2f
    movl %ebx, %esp
    shll $STACK_SHIFT, %esp
    addl $ap_stacks, %esp               /* cpu 1 gets the top of the first stack */
    call enter_long_mode
    ljmp $KERNEL_CS, $ap64
2:  cli
    hlt
    jmp 2b

    .code64
ap64:
    movl %ebx, %edi
    call ap_main

    .bss
    .balign 16
ap_stacks:
    .skip (MAX_CPUS - 1) << STACK_SHIFT
cpus_arrived:
    .skip 4
