/*
 * Multiboot header with the a.out kludge (section 3.1.3): flag 16 and five addresses instead of program
 * headers.
 * The image around it is a flat binary, so a loader that ignores the addresses cannot start it.
 */
#define FLAGS 0x10003
    .section .header, "a"
    .balign 4
header:
    .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
    .long header, image_start, 0, image_end, _start     /* load_end_addr 0: the whole file */
