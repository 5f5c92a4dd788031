/*
 * A flat binary without any header, for wherever and in whatever mode a loader starts it: it finds out which
 * one.
 * The first bytes mean the same in 16-, 32- and 64-bit mode; nothing depends on the load address.
 * Shows the mode as its hand-off (magic 0x10, 0x20 or 0x40 for 16, 32 or 64 bits); wants RAM below 0x7000.
 */
    .code32
    .text
start:
    .byte 0x0f, 0x01, 0xe0              /* smsw %ax (eax in the wider modes) */
    .byte 0xa8, 0x01                    /* test $1, %al */
    .byte 0x74, real_mode - 1f          /* jz: 8-bit displacement in every mode */
1:  .byte 0x31, 0xc0                    /* xor %eax, %eax */
    .byte 0x48, 0x90                    /* dec %eax; nop. In 64-bit mode: a REX prefix on the nop */
    .byte 0x85, 0xc0                    /* test %eax, %eax */
    .byte 0x74, long_mode - 2f
2:  .byte 0xeb, protected_mode - 3f
3:

    .code16
real_mode:
    xorw %ax, %ax
    movw %ax, %ss
    movw $0x7000, %sp
    call 1f
1:  popw %bx
    addw $text16 - 1b, %bx
2:  movb %cs:(%bx), %cl
    testb %cl, %cl
    jz 4f
    movw $0x3fd, %dx
3:  inb %dx, %al
    testb $0x20, %al
    jz 3b
    movw $0x3f8, %dx
    movb %cl, %al
    outb %al, %dx
    incw %bx
    jmp 2b
4:  movw $0x604, %dx
    movw $0x2000, %ax
    outw %ax, %dx
    movw $0x3400, %ax
    outw %ax, %dx
5:  cli
    hlt
    jmp 5b

    .code32
protected_mode:
    movl $0x7000, %esp
    call 1f
1:  popl %ebx
    leal text32 - 1b(%ebx), %ebx
    jmp say_wide

    .code64
long_mode:
    leaq text64(%rip), %rbx
    /* say_wide's bytes mean the same in 32- and 64-bit mode: it uses no push, no inc, no absolute address */
say_wide:
    movb (%rbx), %cl
    testb %cl, %cl
    jz 2f
    movw $0x3fd, %dx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movw $0x3f8, %dx
    movb %cl, %al
    outb %al, %dx
    addl $1, %ebx
    jmp say_wide
2:  movw $0x604, %dx
    movw $0x2000, %ax
    outw %ax, %dx
    movw $0x3400, %ax
    outw %ax, %dx
3:  cli
    hlt
    jmp 3b

text16: .asciz "hello from flat binary\nmagic 0x10 cmdline \"\" memory 0 KiB in 0 entries\n"
text32: .asciz "hello from flat binary\nmagic 0x20 cmdline \"\" memory 0 KiB in 0 entries\n"
text64: .asciz "hello from flat binary\nmagic 0x40 cmdline \"\" memory 0 KiB in 0 entries\n"
