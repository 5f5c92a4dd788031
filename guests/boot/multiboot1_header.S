/*
 * Multiboot 0.6.96 header (section 3.1): page-aligned modules and memory fields wanted, loaded by ELF
 * program headers.
 */
#define FLAGS 0x3
    .section .header, "a"
    .balign 4
    .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
