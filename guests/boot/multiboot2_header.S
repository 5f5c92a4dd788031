/*
 * Multiboot2 header (Multiboot2 2.0, section 3.1): an information request for command line and memory map,
 * console, end.
 */
#define MAGIC 0xe85250d6
#define ARCH_I386 0
    .section .header, "a"
    .balign 8
header:
    .long MAGIC, ARCH_I386, header_end - header, -(MAGIC + ARCH_I386 + (header_end - header))
    .short 1, 0                 /* information request */
    .long 16
    .long 1, 6                  /* command line, memory map */
    .short 4, 1                 /* console flags, optional: EGA text would do */
    .long 12, 2
    .balign 8
    .short 0, 0
    .long 8
header_end:
