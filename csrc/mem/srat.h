/* SRAT, the system resource allocation table: the vmkernel's account of every page of a VM's memory.
 *
 * For each page: whose it is, what for, and flags. Snapshots, dirty logging, ballooning, page sharing and
 * vMotion all read this one table. (Not the ACPI table of the same name, which tells a guest about NUMA.) */
#ifndef VMK_MEM_SRAT_H
#define VMK_MEM_SRAT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmk_api.h"

struct srat {
    uint64_t pages;          /* RAM, then ROM */
    uint8_t *flags;          /* enum srat_flag */
    uint8_t *purpose;        /* enum vmk_srat_purpose */
    uint64_t *code_mask;     /* per page: bit = vCPU whose engine holds blocks of it */
    uint32_t *dirty;         /* pages written since power-on, in order of first write */
    uint64_t ndirty;
    uint32_t owner;          /* VM id, the same for every page until pages are shared */
};

enum srat_flag {
    SRAT_DIRTY = 1,          /* written since power-on */
    SRAT_WRITABLE = 4,       /* some engine's TLB may hold a direct write entry */
    SRAT_PINNED = 8,
};

int srat_init(struct srat *s, uint64_t ram_pages, uint64_t rom_pages, uint32_t owner);
void srat_free(struct srat *s);
void srat_summary(const struct srat *s, struct vmk_srat_summary *out);

/* vCPU threads look at and change one page's entries at the same time. */
static inline uint64_t srat_code(const struct srat *s, uint64_t page)
{
    return __atomic_load_n(&s->code_mask[page], __ATOMIC_SEQ_CST);
}
static inline bool srat_is(const struct srat *s, uint64_t page, enum srat_flag flag)
{
    return __atomic_load_n(&s->flags[page], __ATOMIC_SEQ_CST) & flag;
}
static inline void srat_set(struct srat *s, uint64_t page, enum srat_flag flag)
{
    if (!srat_is(s, page, flag))
        __atomic_fetch_or(&s->flags[page], (uint8_t)flag, __ATOMIC_SEQ_CST);
}
static inline void srat_clear(struct srat *s, uint64_t page, enum srat_flag flag)
{
    __atomic_fetch_and(&s->flags[page], (uint8_t)~flag, __ATOMIC_SEQ_CST);
}

/* Before the first change of a page. */
void srat_touch_slow(struct srat *s, uint64_t page);
static inline void srat_touch(struct srat *s, uint64_t page)
{
    if (!srat_is(s, page, SRAT_DIRTY))
        srat_touch_slow(s, page);
}

#endif
