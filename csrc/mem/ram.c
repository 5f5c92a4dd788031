/* Guest RAM and ROM: one anonymous host mapping, the map of guest-physical pages, checked copies.
 *
 * Follows the i440FX address map (82441FX datasheet, PAM registers; QEMU's split of RAM at 3 GiB). Leaves out
 * who owns a page and what is dirty (mem/srat.c), and the engine's view (engine/tlb.c). */
#define _GNU_SOURCE
#include "mem/ram.h"

#include <string.h>
#include <sys/mman.h>

#include "core/board.h"

#define PAM_BASE 0xC0000ull
#define PAM_END 0x100000ull
#define VGA_BASE 0xA0000ull
#define A20_BIT (1ull << 20)

int ram_init(struct board *b)
{
    struct ram *r = &b->ram;
    if (!b->cfg.memory || b->cfg.memory % PAGE_SIZE || b->cfg.memory > 1ull << 38)
        return board_fail(b, VMK_EINVAL, "guest memory of %llu bytes is not a multiple of 4096 up to 256 GiB",
                          (unsigned long long)b->cfg.memory);
    r->size = b->cfg.memory;
    r->low_size = r->size < RAM_LOW_MAX ? r->size : RAM_LOW_MAX;
    r->host = mmap(NULL, r->size + RAM_ROM_MAX, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->host == MAP_FAILED) {
        r->host = NULL;
        return board_fail(b, VMK_ENOMEM, "the host cannot map %llu bytes of guest RAM",
                          (unsigned long long)r->size);
    }
    madvise(r->host, r->size, MADV_HUGEPAGE);
    return VMK_OK;
}

void ram_free(struct board *b)
{
    if (b->ram.host)
        munmap(b->ram.host, b->ram.size + RAM_ROM_MAX);
}

void ram_reset(struct board *b)
{
    b->ram.a20 = true;
    memset(b->ram.pam, b->ram.rom_present ? 0 : PAM_READ | PAM_WRITE, sizeof(b->ram.pam));
    b->cpu->memory_changed(b->cpu_ctx);
}

int ram_set_rom(struct board *b, const void *bytes, size_t len)
{
    if (!len || len > RAM_ROM_MAX || len % PAGE_SIZE)
        return board_fail(b, VMK_EINVAL, "a ROM of %zu bytes is not a multiple of 4096 up to 16 MiB", len);
    memcpy(b->ram.host + b->ram.size, bytes, len);
    b->ram.rom_size = len;
    b->ram.rom_present = true;
    ram_reset(b);
    return VMK_OK;
}

/* The ROM's last 256 KiB (or all of a smaller one) also show through closed PAM segments, aligned to the top
 * of 1 MiB. */
static uint64_t rom_low_offset(const struct ram *r, uint64_t gpa)
{
    uint64_t below = PAM_END - gpa;
    return r->rom_present && below <= r->rom_size ? r->size + r->rom_size - below : RAM_NOT_MEMORY;
}

static uint64_t map(const struct board *b, uint64_t gpa, enum pam access)
{
    const struct ram *r = &b->ram;
    if (!r->a20)
        gpa &= ~A20_BIT;
    if (gpa < VGA_BASE)
        return gpa < r->low_size ? gpa : RAM_NOT_MEMORY;
    if (gpa < PAM_BASE)
        return RAM_NOT_MEMORY;
    if (gpa < PAM_END) {
        if (r->pam[(gpa - PAM_BASE) >> 14] & access)
            return gpa < r->low_size ? gpa : RAM_NOT_MEMORY;
        return access == PAM_READ ? rom_low_offset(r, gpa) : RAM_NOT_MEMORY;
    }
    if (gpa < r->low_size)
        return gpa;
    if (gpa < RAM_HIGH_BASE)
        return access == PAM_READ && r->rom_present && RAM_HIGH_BASE - gpa <= r->rom_size
                   ? r->size + r->rom_size - (RAM_HIGH_BASE - gpa) : RAM_NOT_MEMORY;
    return gpa - RAM_HIGH_BASE < r->size - r->low_size ? gpa - RAM_HIGH_BASE + r->low_size : RAM_NOT_MEMORY;
}

uint64_t ram_read_offset(const struct board *b, uint64_t gpa)
{
    return map(b, gpa, PAM_READ);
}

uint64_t ram_write_offset(const struct board *b, uint64_t gpa)
{
    return map(b, gpa, PAM_WRITE);
}

/* Is every page of [gpa, gpa+len) memory for this access? */
static bool covered(const struct board *b, uint64_t gpa, size_t len, enum pam access)
{
    if (!len)
        return true;
    if (len > b->ram.size + b->ram.rom_size || gpa + len < gpa)
        return false;
    for (uint64_t page = gpa & ~(PAGE_SIZE - 1); page < gpa + len; page += PAGE_SIZE)
        if (map(b, page, access) == RAM_NOT_MEMORY)
            return false;
    return true;
}

static size_t chunk(uint64_t gpa, size_t left)
{
    size_t room = PAGE_SIZE - (gpa & (PAGE_SIZE - 1));
    return left < room ? left : room;
}

int ram_read(struct board *b, uint64_t gpa, void *buf, size_t len)
{
    if (!covered(b, gpa, len, PAM_READ))
        return VMK_ERANGE;
    for (size_t done = 0, n; done < len; done += n) {
        n = chunk(gpa + done, len - done);
        memcpy((uint8_t *)buf + done, b->ram.host + map(b, gpa + done, PAM_READ), n);
    }
    return VMK_OK;
}

int ram_write(struct board *b, uint64_t gpa, const void *buf, size_t len)
{
    if (!covered(b, gpa, len, PAM_WRITE))
        return VMK_ERANGE;
    for (size_t done = 0, n; done < len; done += n) {
        uint64_t offset = map(b, gpa + done, PAM_WRITE);
        n = chunk(gpa + done, len - done);
        b->cpu->page_written(b->cpu_ctx, offset >> PAGE_SHIFT);
        memcpy(b->ram.host + offset, (const uint8_t *)buf + done, n);
        b->cpu->page_changed(b->cpu_ctx, offset >> PAGE_SHIFT);
    }
    return VMK_OK;
}

void ram_set_pam(struct board *b, unsigned segment, unsigned access)
{
    if (segment >= PAM_SEGMENTS || b->ram.pam[segment] == (access & 3))
        return;
    b->ram.pam[segment] = access & 3;
    b->cpu->memory_changed(b->cpu_ctx);
}

void ram_set_a20(struct board *b, bool on)
{
    if (b->ram.a20 == on)
        return;
    b->ram.a20 = on;
    b->cpu->memory_changed(b->cpu_ctx);
}
