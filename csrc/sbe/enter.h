/* A trap's way from the number in its instruction to its site: two loads, and the hit is counted. */
#ifndef SBE_ENTER_H
#define SBE_ENTER_H

#include "vmk_sbe.h"

/* `sites` is sbe_sites_of(). One CPU at a time, or they lose a hit to each other. */
static inline const struct sbe_site *sbe_enter(struct sbe_site *const *sites, uint32_t number)
{
    struct sbe_site *site = &sites[number / SBE_SITE_CHUNK][number % SBE_SITE_CHUNK];
    __atomic_store_n(&site->hits, __atomic_load_n(&site->hits, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    return site;
}

/* From several CPUs at once. */
static inline const struct sbe_site *sbe_enter_shared(struct sbe_site *const *sites, uint32_t number)
{
    struct sbe_site *site = &sites[number / SBE_SITE_CHUNK][number % SBE_SITE_CHUNK];
    __atomic_fetch_add(&site->hits, 1, __ATOMIC_RELAXED);
    return site;
}

#endif
