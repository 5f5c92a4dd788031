/*
 * A 64 KiB ROM entered at the reset vector (Intel SDM vol. 3, 10.1.4): real mode at F000:FFF0, CS base
 * FFFF0000.
 * Shows EDX (the CPU signature) and the memory above 16 MiB from CMOS 0x34, as firmware must before it has
 * anything else.
 * Finds RAM only by need: its stack at 0000:7000. Gives the PIIX4 power block the port that power_off uses.
 */
    .code16
    .text
start:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ss
    movw $0x7000, %sp
    pushw %dx
    shrl $16, %edx
    pushw %dx
    call enable_power_block
    movw $hello, %si
    call print
    popw %ax
    call print_hex
    popw %ax
    call print_hex
    movw $memory, %si
    call print
    call extended_memory
    call print_decimal
    movw $end, %si
    call print
    jmp power_off

extended_memory:                        /* EAX: KiB of RAM by CMOS 0x34, 0x35 (64 KiB units above 16 MiB) */
    movb $0x35, %al
    outb %al, $0x70
    inb $0x71, %al
    movb %al, %ah
    movb $0x34, %al
    outb %al, $0x70
    inb $0x71, %al
    movzwl %ax, %eax
    shll $6, %eax
    addl $16384, %eax
    ret

enable_power_block:                     /* 00:01.3 (82371AB, 7.2): PMBA = 0x600, PMIOSE = 1 */
    movl $0x80000b40, %eax
    movl $0x601, %ebx
    call write_config
    movl $0x80000b80, %eax
    movl $1, %ebx
write_config:
    movw $0xcf8, %dx
    outl %eax, %dx
    movw $0xcfc, %dx
    movl %ebx, %eax
    outl %eax, %dx
    ret

#include "real_serial.S"

hello:  .asciz "hello from reset vector\nmagic 0x"
memory: .asciz " cmdline \"\" memory "
end:    .asciz " KiB in 0 entries\n"
    .org 0xfff0
    ljmp $0xf000, $start
    .org 0x10000
