/*
 * Xen ELF note 18, PHYS32_ENTRY (xen/include/public/elfnote.h): the address a PVH loader enters in 32-bit
 * mode.
 */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long _start
