/*
 * A boot sector at 0000:7C00 (BIOS Boot Specification 1.01, section 6.5): shows DL and the BIOS data area's
 * memory size.
 * Calls no BIOS function: it must also run where a loader put it there directly.
 */
    .code16
    .text
start:
    cli
    cld
    ljmp $0, $1f
1:  movw %cs, %ax
    movw %ax, %ss
    movw $0x7c00, %sp
    movw %ax, %ds
    pushw %dx
    movw $hello, %si
    call print
    popw %ax
    call print_hex
    movw $memory, %si
    call print
    movzwl 0x413, %eax
    call print_decimal
    movw $end, %si
    call print
    jmp power_off

#include "real_serial.S"

hello:  .asciz "hello from boot sector\nmagic 0x"
memory: .asciz " cmdline \"\" memory "
end:    .asciz " KiB in 0 entries\n"
    .org 510
    .short 0xaa55
