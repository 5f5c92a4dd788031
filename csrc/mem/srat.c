/* The vmkernel's account of every page: see srat.h. Owns the table and the dirty log; leaves out policy (who
 * gets which page), which is Python's. */
#include "mem/srat.h"

#include <stdlib.h>
#include <string.h>

#include "mem/ram.h"

int srat_init(struct srat *s, uint64_t ram_pages, uint64_t rom_pages, uint32_t owner)
{
    s->pages = ram_pages + rom_pages;
    s->owner = owner;
    s->flags = calloc(s->pages, sizeof(*s->flags));
    s->purpose = calloc(s->pages, sizeof(*s->purpose));
    s->code_mask = calloc(s->pages, sizeof(*s->code_mask));
    s->dirty = calloc(s->pages, sizeof(*s->dirty));
    if (!s->flags || !s->purpose || !s->code_mask || !s->dirty)
        return VMK_ENOMEM;
    memset(s->purpose, VMK_SRAT_GUEST_RAM, ram_pages);
    memset(s->purpose + ram_pages, VMK_SRAT_FREE, rom_pages);
    return VMK_OK;
}

void srat_free(struct srat *s)
{
    free(s->flags);
    free(s->purpose);
    free(s->code_mask);
    free(s->dirty);
}

void srat_touch_slow(struct srat *s, uint64_t page)
{
    if (!(__atomic_fetch_or(&s->flags[page], SRAT_DIRTY, __ATOMIC_SEQ_CST) & SRAT_DIRTY))
        s->dirty[__atomic_fetch_add(&s->ndirty, 1, __ATOMIC_SEQ_CST)] = (uint32_t)page;
}

void srat_summary(const struct srat *s, struct vmk_srat_summary *out)
{
    memset(out, 0, sizeof(*out));
    out->page_size = PAGE_SIZE;
    out->owner = s->owner;
    for (uint64_t i = 0; i < s->pages; i++) {
        out->pages[s->purpose[i]]++;
        out->dirty += s->flags[i] & SRAT_DIRTY ? 1 : 0;
        out->code += s->code_mask[i] ? 1 : 0;
        out->pinned += s->flags[i] & SRAT_PINNED ? 1 : 0;
    }
}
