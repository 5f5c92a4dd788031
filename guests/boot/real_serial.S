/*
 * Real-mode text on COM1, for inclusion: print (string at CS:SI), print_hex (AX), print_decimal (EAX), and
 * power_off.
 * Strings lie in the code segment: nothing is assumed of DS. Clobbers AX, BX, CX, DX, SI.
 */
print:
    movb %cs:(%si), %al
    incw %si
    testb %al, %al
    jz 1f
    call print_char
    jmp print
1:  ret

print_hex:
    movw $4, %cx
1:  rolw $4, %ax
    pushw %ax
    andb $15, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 2f
    addb $'a' - '0' - 10, %al
2:  call print_char
    popw %ax
    loop 1b
    ret

print_decimal:
    movl $10, %ebx
    xorl %edx, %edx
    divl %ebx
    testl %eax, %eax
    jz 1f
    pushw %dx
    call print_decimal
    popw %dx
1:  movb %dl, %al
    addb $'0', %al
    /* falls through */

print_char:
    pushw %dx
    pushw %ax
    movw $0x3fd, %dx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    popw %ax
    movw $0x3f8, %dx
    outb %al, %dx
    popw %dx
    ret

power_off:                              /* SLP_TYP of S5: 0 on QEMU's i440FX, 5 on ours */
    movw $0x604, %dx
    movw $0x2000, %ax
    outw %ax, %dx
    movw $0x3400, %ax
    outw %ax, %dx
1:  cli
    hlt
    jmp 1b
