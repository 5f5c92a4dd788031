/*
 * Owns the table of sites: one entry per rewritten instruction, keyed by address, mode, privilege level and
 * original bytes, so that code which comes back finds its number and its count again. A guest that writes
 * code for ever cannot fill the host's memory: the table has a limit, and the engine flushes at it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sbe_private.h"

static uint32_t hash_site(const struct sbe_site *site)
{
    uint64_t h = site->pc ^ (uint64_t)site->mode << 56 ^ (uint64_t)site->cpl << 60;
    for (unsigned i = 0; i < site->len; i++)
        h = (h ^ site->bytes[i]) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static bool same_site(const struct sbe_site *a, const struct sbe_site *b)
{
    return a->pc == b->pc && a->mode == b->mode && a->cpl == b->cpl && a->len == b->len &&
           !memcmp(a->bytes, b->bytes, a->len);
}

static struct sbe_site *site_number(const struct sbe_sites *sites, uint32_t number)
{
    return &sites->chunk[number / SBE_SITE_CHUNK][number % SBE_SITE_CHUNK];
}

/* The bucket that holds the key, or the free one where it belongs. At most half the buckets are taken. */
static uint32_t *find_bucket(const struct sbe_sites *sites, const struct sbe_site *key)
{
    uint32_t mask = sites->buckets - 1, at = hash_site(key) & mask;
    while (sites->bucket[at] && !same_site(site_number(sites, sites->bucket[at] - 1), key))
        at = (at + 1) & mask;
    return &sites->bucket[at];
}

static int grow_buckets(struct sbe_sites *sites)
{
    if (sites->count < sites->buckets / 2)
        return 0;
    uint32_t buckets = sites->buckets ? sites->buckets * 2 : 4 * SBE_SITE_CHUNK;
    uint32_t *fresh = calloc(buckets, sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    free(sites->bucket);
    sites->bucket = fresh;
    sites->buckets = buckets;
    for (uint32_t number = 0; number < sites->count; number++)
        *find_bucket(sites, site_number(sites, number)) = number + 1;
    return 0;
}

static int grow_chunks(struct sbe_sites *sites)
{
    if (sites->count < sites->chunks * SBE_SITE_CHUNK)
        return 0;
    sites->chunk[sites->chunks] = calloc(SBE_SITE_CHUNK, sizeof(struct sbe_site));
    if (!sites->chunk[sites->chunks])
        return -ENOMEM;
    sites->chunks++;
    return 0;
}

static int64_t add_site(struct sbe *sbe, const struct sbe_match *match, const struct sbe_site *key)
{
    struct sbe_sites *sites = &sbe->sites;
    if (sites->count >= sites->max)
        return sbe_fail(sbe, -ENOSPC, "sites: %u are the limit, at 0x%llx: flush all blocks and forget them",
                        sites->max, (unsigned long long)key->pc);
    if (grow_chunks(sites))
        return sbe_fail(sbe, -ENOMEM, "sites: no memory for more than %u", sites->count);
    uint32_t number = sites->count;
    struct sbe_site *site = site_number(sites, number);
    *site = *key;
    site->op = sbe_operand(match, key->bytes);
    sbe_rewrite(sbe, site);
    *find_bucket(sites, key) = number + 1;
    __atomic_store_n(&sites->count, number + 1, __ATOMIC_RELEASE); /* traps run beside this */
    return number;
}

int64_t sbe_site_at(struct sbe *sbe, const struct sbe_match *match, const struct sbe_site *key)
{
    if (grow_buckets(&sbe->sites))
        return sbe_fail(sbe, -ENOMEM, "sites: no memory for more than %u", sbe->sites.count);
    uint32_t taken = *find_bucket(&sbe->sites, key);
    return taken ? (int64_t)taken - 1 : add_site(sbe, match, key);
}

const struct sbe_site *sbe_site(const struct sbe *sbe, uint32_t site)
{
    return site < sbe_site_count(sbe) ? site_number(&sbe->sites, site) : NULL;
}

uint32_t sbe_site_count(const struct sbe *sbe)
{
    return __atomic_load_n(&sbe->sites.count, __ATOMIC_ACQUIRE);
}

struct sbe_site *const *sbe_sites_of(const struct sbe *sbe)
{
    return sbe->sites.chunk;
}

void sbe_forget_sites(struct sbe *sbe)
{
    sbe->sites.count = 0;
    if (sbe->sites.buckets)
        memset(sbe->sites.bucket, 0, sbe->sites.buckets * sizeof(*sbe->sites.bucket));
}

bool sbe_sites_init(struct sbe_sites *sites, uint32_t max)
{
    sites->max = max;
    sites->chunk = calloc(max / SBE_SITE_CHUNK + 1, sizeof(struct sbe_site *));
    return sites->chunk;
}

void sbe_sites_free(struct sbe_sites *sites)
{
    for (uint32_t i = 0; i < sites->chunks; i++)
        free(sites->chunk[i]);
    free(sites->chunk);
    free(sites->bucket);
}
