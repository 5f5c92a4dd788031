/*
 * Owns the replacement bytes: exactly as long as the instruction, so that nothing behind it moves. The
 * padding is DS-override prefixes, which the trap opcodes ignore in every mode, so that the replacement stays
 * one instruction and is retired as one.
 */
#include <string.h>

#include "sbe_private.h"

enum { PAD = 0x3e };

static const uint8_t out_dx_al[] = {0xee};
static const uint8_t syscall_insn[] = {0x0f, 0x05};
/* One-byte instructions that end a block: HLT at CPL 0, where it does not fault; IRET above it. */
static const uint8_t hlt[] = {0xf4};
static const uint8_t iret[] = {0xcf};

static void pad_and_place(struct sbe_site *site, const uint8_t *bytes, unsigned n)
{
    memset(site->replacement, PAD, site->len - n);
    memcpy(site->replacement + site->len - n, bytes, n);
}

void sbe_rewrite(const struct sbe *sbe, struct sbe_site *site)
{
    const struct sbe_inline *sequence = &sbe->sequence[site->insn][site->mode];
    if (site->policy == SBE_INLINE && sequence->n && sequence->n <= site->len) {
        site->shape = SBE_CONTINUE;
        pad_and_place(site, sequence->bytes, sequence->n);
        return;
    }
    site->policy = SBE_TRAP;
    site->shape = sbe_rows[site->insn].shape;
    if (site->shape == SBE_CONTINUE)
        pad_and_place(site, out_dx_al, sizeof(out_dx_al));
    else if (site->len >= sizeof(syscall_insn))
        pad_and_place(site, syscall_insn, sizeof(syscall_insn));
    else
        pad_and_place(site, site->cpl ? iret : hlt, 1);
}
