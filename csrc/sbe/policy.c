/*
 * Owns what is done with each row of the table: the profile's choice, the user's override, the inline
 * sequences. Leaves assembling the sequences to Python and Keystone; here they are bytes to be checked.
 */
#include <errno.h>
#include <string.h>

#include "sbe_private.h"

static void rebuild_prefilter(struct sbe *sbe)
{
    bool wanted[SBE_INSN_COUNT];
    for (unsigned insn = 0; insn < SBE_INSN_COUNT; insn++)
        wanted[insn] = sbe->policy[insn] != SBE_NATIVE;
    sbe_prefilter_build(&sbe->prefilter, wanted);
}

/* The engine translates these two to plain stores, not to a call that the monitor could stand behind: a base
 * that is not canonical would be loaded without a word. So they trap even in the profile that leaves the rest
 * native. */
static void keep_checks(struct sbe *sbe)
{
    sbe->policy[SBE_INSN_LGDT] = SBE_TRAP;
    sbe->policy[SBE_INSN_LIDT] = SBE_TRAP;
}

void sbe_policy_init(struct sbe *sbe)
{
    for (unsigned insn = 0; insn < SBE_INSN_COUNT; insn++)
        sbe->policy[insn] = sbe_rows[insn].policy[sbe->config.profile];
    keep_checks(sbe);
    rebuild_prefilter(sbe);
}

static bool has_sequence(const struct sbe *sbe, enum sbe_insn insn)
{
    for (unsigned mode = 0; mode < SBE_MODE_COUNT; mode++) {
        if (sbe->sequence[insn][mode].n)
            return true;
    }
    return false;
}

int sbe_set_policy(struct sbe *sbe, enum sbe_insn insn, enum sbe_policy policy)
{
    if ((unsigned)insn >= SBE_INSN_COUNT || (unsigned)policy >= SBE_POLICY_COUNT)
        return sbe_fail(sbe, -EINVAL, "no instruction %u or policy %u", (unsigned)insn, (unsigned)policy);
    const struct sbe_row *row = &sbe_rows[insn];
    if (!(row->allowed & 1u << policy))
        return sbe_fail(sbe, -EPERM, "%s does not allow this policy: see its row in the table", row->id);
    if (policy == SBE_INLINE && !has_sequence(sbe, insn))
        return sbe_fail(sbe, -ENODATA, "%s has no inline sequence yet: call sbe_set_inline() first", row->id);
    sbe->policy[insn] = (uint8_t)policy;
    rebuild_prefilter(sbe);
    return 0;
}

enum sbe_policy sbe_policy(const struct sbe *sbe, enum sbe_insn insn, enum sbe_mode mode, unsigned cpl)
{
    if (!(sbe_rows[insn].trap_modes & 1u << mode))
        return SBE_NATIVE;
    /* An inline sequence has no privilege check, so above CPL 0 the monitor must decide. */
    if (sbe->policy[insn] == SBE_INLINE && (cpl != 0 || !sbe->sequence[insn][mode].n))
        return SBE_TRAP;
    return sbe->policy[insn];
}

/* One instruction, so that the count of retired ones stays true, and one that can neither fault nor leave
 * the block nor mind the padding, which is a segment override: some NOP, or PAUSE. */
static bool is_harmless(struct sbe *sbe, enum sbe_mode mode, const uint8_t *bytes, size_t n)
{
    uint64_t address = 0;
    if (!cs_disasm_iter(sbe->capstone[mode], &bytes, &n, &address, sbe->scratch) || n != 0)
        return false;
    return sbe->scratch->id == X86_INS_NOP || sbe->scratch->id == X86_INS_PAUSE;
}

int sbe_set_inline(struct sbe *sbe, enum sbe_insn insn, enum sbe_mode mode, const uint8_t *bytes, size_t n)
{
    if ((unsigned)insn >= SBE_INSN_COUNT || (unsigned)mode >= SBE_MODE_COUNT)
        return sbe_fail(sbe, -EINVAL, "no instruction %u or mode %u", (unsigned)insn, (unsigned)mode);
    const struct sbe_row *row = &sbe_rows[insn];
    if (!(row->allowed & 1u << SBE_INLINE))
        return sbe_fail(sbe, -EPERM, "%s has no inline form: its row in the table allows none", row->id);
    if (n < 1 || n > SBE_MAX_INSN || !is_harmless(sbe, mode, bytes, n))
        return sbe_fail(sbe, -EINVAL, "inline form of %s: %zu bytes are not one NOP or PAUSE", row->id, n);
    struct sbe_inline *sequence = &sbe->sequence[insn][mode];
    sequence->n = (uint8_t)n;
    memcpy(sequence->bytes, bytes, n);
    return 0;
}
