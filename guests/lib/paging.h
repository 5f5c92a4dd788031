/* 4 KiB mappings on top of the identity map that start.S makes. */
#pragma once
#include <stdint.h>

enum { PAGE = 4096 };
enum { PTE_PRESENT = 1, PTE_WRITE = 2, PTE_USER = 4 };
enum { PTE_RX = PTE_PRESENT | PTE_USER, PTE_RW = PTE_RX | PTE_WRITE };
enum { ALIASES = 0x40000000 }; /* addresses free for aliases: above the RAM of a small machine */

/* Map the 4 KiB page at `va`, below 4 GiB, to `pa` with `flags`, and flush its TLB entry. */
void map_page(uint64_t va, uint64_t pa, uint64_t flags);
