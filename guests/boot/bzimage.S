/*
 * A complete bzImage made by hand (Documentation/arch/x86/boot.rst, protocol 2.12): setup header, 16-bit
 * setup code, 32-bit entry at offset 0 of the protected-mode part and 64-bit entry at offset 0x200 of it.
 * The first sectors are shaped like a zero page, so that the setup code can pass them on as one.
 * Leaves out EFI, relocation and a compressed payload.
 */
#define SETUP_SECTORS 7
#define E820_ENTRIES 0x1e8
#define E820_TABLE 0x2d0
#define E820_MAX 32
#define SMAP 0x534d4150
    .code16
    .text
setup:
    .org 0x1f1
    .byte SETUP_SECTORS
    .short 0
    .long (image_end - protected_part + 15) / 16
    .short 0, 0xffff, 0
    .short 0xaa55
    .byte 0xeb, header_end - header     /* jmp: its displacement also tells where the header ends */
header:
    .ascii "HdrS"
    .short 0x20c
    .long 0                             /* realmode_swtch */
    .short 0x1000, version - setup - 0x200
    .byte 0, 0x01                       /* type_of_loader; LOADED_HIGH */
    .short 0
    .long 0x100000                      /* code32_start */
    .long 0, 0, 0                       /* ramdisk_image, ramdisk_size, bootsect_kludge */
    .short 0, 0                         /* heap_end_ptr, ext_loader_* */
    .long 0, 0x7fffffff                 /* cmd_line_ptr, initrd_addr_max */
    .long 0x100000                      /* kernel_alignment */
    .byte 0, 20                         /* relocatable_kernel, min_alignment */
    .short 1                            /* xloadflags: has a 64-bit entry */
    .long 255, 0                        /* cmdline_size, hardware_subarch */
    .quad 0
    .long 0, 0                          /* payload_offset, payload_length */
    .quad 0, 0x100000                   /* setup_data, pref_address */
    .long 0x20000, 0                    /* init_size, handover_offset */
header_end:
    jmp setup_code

    .org 0xd00                          /* behind the longest E820 table */
version:
    .asciz "1.0 hand-made bzImage"
    .balign 8
gdt:
    .quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:
    .short . - gdt - 1
    .long 0

setup_code:                             /* CS = DS + 0x20: data offsets count from `setup` in DS */
    cli
    cld
    movw %ds, %ax
    movw %ax, %es
    call read_e820
    xorl %esi, %esi
    movw %ds, %si
    shll $4, %esi                       /* linear address of what becomes the zero page */
    leal gdt - setup(%esi), %eax
    movl %eax, gdtr + 2 - setup
    inb $0x92, %al
    orb $2, %al                         /* A20 on */
    andb $0xfe, %al                     /* and no reset */
    outb %al, $0x92
    lgdtl gdtr - setup
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    movw $0x18, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    ljmpl $0x10, $0x100000

read_e820:                              /* INT 15h, AX=E820h (ACPI 6.5, section 15.1) until EBX is 0 again */
    xorl %ebx, %ebx
    movw $E820_TABLE, %di
1:  movl $0xe820, %eax
    movl $SMAP, %edx
    movl $20, %ecx
    int $0x15
    jc 2f
    cmpl $SMAP, %eax
    jne 2f
    addw $20, %di
    incb E820_ENTRIES
    cmpb $E820_MAX, E820_ENTRIES
    jae 2f
    testl %ebx, %ebx
    jnz 1b
2:  ret

    .org (SETUP_SECTORS + 1) * 512
protected_part:                         /* loaded at 0x100000; the bodies are linked for their places here */
    .code32
    jmp body32
    .org protected_part - setup + 0x200
    .code64
    jmp body64
    .org protected_part - setup + 0x1000
body32:
    .incbin BODY32
    .org protected_part - setup + 0x8000
body64:
    .incbin BODY64
image_end:
