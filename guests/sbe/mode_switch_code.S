/*
 * One round trip through the modes of x86-64 (Intel SDM vol. 3, 10.8.5, 10.9): 64-bit, compatibility, 32-bit
 * protected without paging, 16-bit protected, real, and back up; privileged instructions run in each.
 * The part between low_begin and low_end is copied to LOW, since real mode must reach it. In each mode a
 * routine leaves a byte per check in `marks`: the value a mode must see, which main() compares.
 */
#include "../lib/gdt.h"
#define LOW 0x8000
#define AT(label) (label - low_begin + LOW)
#define EFER 0xc0000080

    .text
    .code64
    .globl mode_round_trip, low_begin, low_end, marks
mode_round_trip:                        /* called from C in 64-bit mode */
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    sidt idt_of_long_mode
    movq %rsp, stack_of_long_mode
    movl $0x7c00, %esp
    ljmp *to_compat

    .code32
compat:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %ss
    .macro privileged_32 slot           /* CLI and STI by PUSHF, CPUID, RDMSR (EFER's low byte), CR0.PE, IN */
    sti
    pushfl
    popl %eax
    movb %ah, \slot
    cli
    pushfl
    popl %eax
    movb %ah, \slot + 1
    xorl %eax, %eax
    cpuid
    cmpl cpuid_leaf_0, %ebx
    sete \slot + 2
    movl $EFER, %ecx
    rdmsr
    movb %ah, \slot + 3
    movl %cr0, %eax
    movb %al, \slot + 4
    smsw %ax
    movb %al, \slot + 5
    wbinvd
    movl $AT(mode_dependent), %eax
    call *%eax
    cmpl $0xa20f0000, %eax
    sete \slot + 6
    .endm
    privileged_32 marks
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0                     /* paging off: EFER.LMA falls, this is legacy 32-bit mode */
    jmp 1f
1:  movl $EFER, %ecx
    rdmsr
    andl $~0x100, %eax
    wrmsr
    privileged_32 marks + 8
    lidt AT(real_idt_pointer)
    ljmp $KERNEL_CS16, $AT(protected16)

back_in_32:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    privileged_32 marks + 32
    movl $0x7c00, %esp
    call enter_long_mode
    ljmp $KERNEL_CS, $back_in_64

    .code64
back_in_64:
    movq stack_of_long_mode, %rsp
    lidt idt_of_long_mode
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

low_begin:
    .code16
protected16:
    movw $KERNEL_DS16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    .macro privileged_16 slot
    sti
    pushfw
    popw %ax
    movb %ah, AT(low_marks) + \slot
    cli
    pushfw
    popw %ax
    movb %ah, AT(low_marks) + \slot + 1
    xorl %eax, %eax
    cpuid
    cmpl AT(low_cpuid), %ebx
    sete AT(low_marks) + \slot + 2
    movl $EFER, %ecx
    rdmsr
    movb %ah, AT(low_marks) + \slot + 3
    movl %cr0, %eax
    movb %al, AT(low_marks) + \slot + 4
    smsw %ax
    movb %al, AT(low_marks) + \slot + 5
    wbinvd
    xorl %eax, %eax
    xorl %ebx, %ebx
    call mode_dependent
    cmpl AT(low_cpuid), %ebx
    sete AT(low_marks) + \slot + 6
    .endm
    privileged_16 0
    movl %cr0, %eax
    andb $0xfe, %al
    movl %eax, %cr0
    ljmp $0, $AT(real)
real:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    privileged_16 8
    int $0x21                           /* through the real-mode table, whose handler sets a mark */
    lgdtl AT(low_gdt_pointer)
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $KERNEL_CS32, $back_in_32

real_handler:
    movb $0x21, AT(low_marks) + 15
    iretw

mode_dependent:                         /* 16 bits: MOV AX, 0 and CPUID; else MOV EAX, 0xa20f0000 */
    .byte 0xb8, 0x00, 0x00, 0x0f, 0xa2, 0xc3

    .balign 4
    .globl mode_dependent, low_marks, low_cpuid, real_vector, low_gdt_pointer
real_vector:                            /* what main() puts at 0000:0084 */
    .short AT(real_handler), 0
real_idt_pointer:
    .short 0x3ff
    .long 0
low_gdt_pointer:                        /* filled in by main() */
    .short 0
    .long 0
low_cpuid:
    .long 0
low_marks:
    .fill 16, 1, 0
low_end:

    .data
to_compat:
    .long compat
    .short KERNEL_CS32
    .globl cpuid_leaf_0
cpuid_leaf_0:
    .long 0
idt_of_long_mode:
    .fill 10, 1, 0
stack_of_long_mode:
    .quad 0
marks:
    .fill 40, 1, 0
