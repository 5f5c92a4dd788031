/*
 * Owns one VM's scanner from creation to destruction, its last error and its statistics.
 * Leaves the work to scan.c, policy.c, rewrite.c and sites.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sbe_private.h"

int sbe_fail(struct sbe *sbe, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(sbe->error, sizeof(sbe->error), format, args);
    va_end(args);
    return code;
}

const char *sbe_error(const struct sbe *sbe)
{
    return sbe->error;
}

static bool open_capstone(struct sbe *sbe)
{
    static const cs_mode modes[] = {
        [SBE_MODE_16] = CS_MODE_16,
        [SBE_MODE_32] = CS_MODE_32,
        [SBE_MODE_64] = CS_MODE_64,
        [SBE_MODE_VM86] = CS_MODE_16,
    };
    for (unsigned mode = 0; mode < SBE_MODE_COUNT; mode++) {
        if (cs_open(CS_ARCH_X86, modes[mode], &sbe->capstone[mode]) != CS_ERR_OK) {
            sbe->capstone[mode] = 0;
            return false;
        }
    }
    sbe->scratch = cs_malloc(sbe->capstone[SBE_MODE_64]);
    return sbe->scratch;
}

struct sbe *sbe_create(const struct sbe_config *config)
{
    if ((unsigned)config->profile >= SBE_PROFILE_COUNT)
        return NULL;
    struct sbe *sbe = calloc(1, sizeof(*sbe));
    if (!sbe)
        return NULL;
    sbe->config = *config;
    uint32_t max = config->max_sites ? config->max_sites : SBE_DEFAULT_MAX_SITES;
    if (!open_capstone(sbe) || !sbe_index_build(&sbe->index) || !sbe_sites_init(&sbe->sites, max)) {
        sbe_destroy(sbe);
        return NULL;
    }
    sbe_policy_init(sbe);
    sbe->ticks_origin = __builtin_ia32_rdtsc();
    clock_gettime(CLOCK_MONOTONIC, &sbe->clock_origin);
    return sbe;
}

void sbe_destroy(struct sbe *sbe)
{
    if (!sbe)
        return;
    sbe_sites_free(&sbe->sites);
    if (sbe->scratch)
        cs_free(sbe->scratch, 1);
    for (unsigned mode = 0; mode < SBE_MODE_COUNT; mode++) {
        if (sbe->capstone[mode])
            cs_close(&sbe->capstone[mode]);
    }
    free(sbe);
}

/* Two readings of the counter are cheaper than two of the clock, and a scan takes about as long as those. */
static double seconds_of(const struct sbe *sbe, uint64_t ticks)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t elapsed = __builtin_ia32_rdtsc() - sbe->ticks_origin;
    double seconds = (double)(now.tv_sec - sbe->clock_origin.tv_sec) +
                     (double)(now.tv_nsec - sbe->clock_origin.tv_nsec) / 1e9;
    return elapsed ? (double)ticks * seconds / (double)elapsed : 0.0;
}

void sbe_stats(const struct sbe *sbe, struct sbe_stats *out)
{
    *out = sbe->stats;
    out->sites = sbe->sites.count;
    out->seconds = seconds_of(sbe, sbe->ticks);
}
