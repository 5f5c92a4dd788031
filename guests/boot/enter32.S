/* Entry in 32-bit protected mode, no stack yet: EAX and EBX (or ESI) go to main() as its three arguments. */
    .code32
    .text
    .globl _start
_start:
    cli
    cld
    movl $stack_top, %esp
    pushl %esi
    pushl %ebx
    pushl %eax
    call main
    hlt

    .bss
    .balign 16
    .skip 8192
stack_top:
