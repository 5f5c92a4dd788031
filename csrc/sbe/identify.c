/*
 * Owns the question "is this a sensitive instruction" for those who have no scanner: the static walk and
 * tests. The index is the table in another order: built once per process, then only read.
 */
#include <pthread.h>

#include "match.h"
#include "vmk_sbe_table.h"

static struct sbe_index shared_index;
static bool complete;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build_shared_index(void)
{
    complete = sbe_index_build(&shared_index);
}

int vmk_sbe_identify(unsigned mode, const uint8_t *code, unsigned n, unsigned *len)
{
    struct sbe_match match;
    pthread_once(&once, build_shared_index);
    if (!complete || mode >= SBE_MODE_COUNT)
        return -1;
    if (sbe_match(&shared_index, (enum sbe_mode)mode, code, n, &match) != SBE_DECODED || !match.form)
        return -1;
    *len = match.len;
    return match.insn;
}
