/* Guest RAM, ROM and the map of guest-physical pages.
 *
 * One host mapping holds RAM, then ROM; "offset" means an offset into it. Guest-physical addresses map to
 * offsets by pages: RAM below 3 GiB at 0, the rest from 4 GiB on, the ROM at the top of 4 GiB and, through
 * the PAM registers, below 1 MiB. All host-side access to guest memory goes through the checked functions
 * here: they tell the CPUs about pages about to change. */
#ifndef VMK_MEM_RAM_H
#define VMK_MEM_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ull
#define RAM_LOW_MAX (3ull << 30)
#define RAM_HIGH_BASE (4ull << 30)
#define RAM_NOT_MEMORY UINT64_MAX
#define RAM_ROM_MAX (16ull << 20)
#define PAM_SEGMENTS 16 /* 16 KiB each, 0xC0000 to 0xFFFFF */

enum pam {
    PAM_READ = 1,
    PAM_WRITE = 2
}; /* bit set: that access goes to RAM; clear: reads see ROM (or nothing), writes vanish */

struct ram {
    uint8_t *host;          /* [0, size) RAM, [size, size + rom_size) ROM */
    uint64_t size, low_size, rom_size;
    uint8_t pam[PAM_SEGMENTS];
    bool a20;
    bool rom_present;
};

int ram_init(struct board *b);
void ram_free(struct board *b);
/* System reset: A20 on, ROM visible below 1 MiB if there is one; contents stay. */
void ram_reset(struct board *b);
int ram_set_rom(struct board *b, const void *bytes, size_t len);

/* Offsets for a guest-physical address, by kind of access; RAM_NOT_MEMORY if a chip or nothing is there. Bit
 * 20 is masked while A20 is off. */
uint64_t ram_read_offset(const struct board *b, uint64_t gpa);
uint64_t ram_write_offset(const struct board *b, uint64_t gpa);

/* Checked copies for chips and loaders: 0, or a negative vmk_error when any byte of the range is not RAM
 * (nothing is copied then; a write may not touch ROM). Ranges may cross pages; a length of 0 succeeds. */
int ram_read(struct board *b, uint64_t gpa, void *buf, size_t len);
int ram_write(struct board *b, uint64_t gpa, const void *buf, size_t len);

/* The chipset moves a PAM segment or A20: CPUs forget their cached translations. */
void ram_set_pam(struct board *b, unsigned segment, unsigned access);
void ram_set_a20(struct board *b, bool on);

#endif
