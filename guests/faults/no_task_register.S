/*
 * Dies of an interrupt from ring 3 while TR is as the processor was reset: no LTR has ever been executed. The stack
 * of ring 0 is then read from linear address 4, which holds null selectors here: #TS, #DF, triple fault. A boot
 * sector: the library's start code loads a task register.
 */
    .code16
    .text
start:
    cli
    cld
    ljmp $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ss
    movw $0x7c00, %sp
    movw %ax, %ds
    movw %ax, %es
    movw $words, %si
    call print
    xorl %eax, %eax                     /* where TR's TSS would be */
    xorw %di, %di
    movw $32, %cx
    rep stosl
    lgdt gdt_pointer
    lidt idt_pointer
    movl $1, %eax
    movl %eax, %cr0
    ljmp $8, $protected

#include "../boot/real_serial.S"

    .code32
protected:
    movl $0x10, %eax
    movl %eax, %ss
    movl $0x7c00, %esp
    pushl $0x20 + 3
    pushl $0x7c00
    pushl $2
    pushl $0x18 + 3
    pushl $ring3
    iretl
ring3:
    int $0                              /* through a gate of DPL 3 to ring 0 */
    jmp ring3

words: .asciz "dying by an interrupt without a task register\n"
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cffb000000ffff
    .quad 0x00cff3000000ffff
gdt_pointer:
    .short . - gdt - 1
    .long gdt
idt:
    .short protected, 8, 0xee00, 0
idt_pointer:
    .short 7
    .long idt
    .org 510
    .short 0xaa55
