/* One VM's scanner: what scan, policy, rewrite and sites share. Private to csrc/sbe/. */
#ifndef SBE_PRIVATE_H
#define SBE_PRIVATE_H

#include <time.h>

#include <capstone/capstone.h>

#include "match.h"
#include "prefilter.h"

enum { SBE_DEFAULT_MAX_SITES = 1 << 20 };

/* Sites stay where they are, and so does the array of chunks: sbe_enter() runs beside a scan. */
struct sbe_sites {
    struct sbe_site **chunk;
    uint32_t chunks, count, max;
    uint32_t *bucket; /* site number plus 1; 0: free */
    uint32_t buckets; /* a power of two, or 0 before the first site */
};

struct sbe_inline {
    uint8_t n;
    uint8_t bytes[SBE_MAX_INSN];
};

struct sbe {
    struct sbe_config config;
    struct sbe_index index;
    struct sbe_prefilter prefilter;
    uint8_t policy[SBE_INSN_COUNT];
    struct sbe_inline sequence[SBE_INSN_COUNT][SBE_MODE_COUNT];
    struct sbe_sites sites;
    csh capstone[SBE_MODE_COUNT];
    cs_insn *scratch;
    struct sbe_stats stats;
    uint64_t ticks;               /* of the time stamp counter, spent scanning */
    uint64_t ticks_origin;        /* the counter and the clock at creation: */
    struct timespec clock_origin; /* their ratio turns ticks into seconds */
    char error[160];
};

int sbe_fail(struct sbe *sbe, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

void sbe_policy_init(struct sbe *sbe);

/* Bytes as long as the instruction. May turn policy INLINE into TRAP where the sequence does not fit. */
void sbe_rewrite(const struct sbe *sbe, struct sbe_site *site);

/* Number of the site of these bytes at this place, made if it is new; or a negative errno. */
int64_t sbe_site_at(struct sbe *sbe, const struct sbe_match *match, const struct sbe_site *key);
bool sbe_sites_init(struct sbe_sites *sites, uint32_t max);
void sbe_sites_free(struct sbe_sites *sites);

#endif
