/*
 * The 256 entry points of the IDT, each VECTOR_STEP bytes, and the way back out of a guarded call.
 * Intel SDM vol. 3, 6.14 (frame of 64-bit mode), 6.15 (which vectors push an error code).
 */
#include "gdt.h"
#define VECTOR_STEP 16
#define HAS_ERROR_CODE 0x60227d00       /* bit per vector: 8, 10-14, 17, 21, 29, 30 */

    .text
    .globl vector_entries
    .balign VECTOR_STEP
vector_entries:
    .set vector, 0
    .rept 256
    .balign VECTOR_STEP
    .if vector >= 32
    pushq $0
    .elseif !((HAS_ERROR_CODE >> vector) & 1)
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call trap_dispatch
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq

    .macro guard_enter
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushfq
    pushq guard_rsp
    movq %rsp, guard_rsp
    .endm

    .globl guarded, user_guarded, guard_return, user_exit
guarded:
    guard_enter
    movq %rdi, %rax
    movq %rsi, %rdi
    call *%rax
    movl $-1, %edi
guard_return:                           /* EDI: what the guarded call returns; any stack, CPL 0 */
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %edi, %eax
    movq guard_rsp, %rsp
    popq guard_rsp
    popfq
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

user_guarded:
    guard_enter
    orq $2, %rsi
    movq $user_exit, user_stack_top - 8
    pushq $USER_DS + 3
    pushq $user_stack_top - 8
    pushq %rsi
    pushq $USER_CS + 3
    pushq %rdi
    iretq
user_exit:
    int $0x80

    .bss
    .balign 16
    .skip 16384
    .globl user_stack_top, guard_rsp
user_stack_top:
guard_rsp:
    .skip 8
