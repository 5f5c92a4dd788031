/*
 * Entry in 64-bit mode on somebody's identity map: RSI (Linux: the zero page, otherwise nothing) goes to
 * main().
 */
    .text
    .globl _start
_start:
    cli
    cld
    leaq stack_top(%rip), %rsp
    movq %rsi, %rdi
    call main
    hlt

    .bss
    .balign 16
    .skip 8192
stack_top:
