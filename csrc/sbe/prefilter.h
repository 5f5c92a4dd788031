/* A byte test that proves code free of candidates without disassembling it. Private to csrc/sbe/. */
#ifndef SBE_PREFILTER_H
#define SBE_PREFILTER_H

#include "table.h"

enum { SBE_SECOND_NO, SBE_SECOND_YES, SBE_SECOND_BY_MODRM, SBE_SECOND_BY_MODRM_AND_LOCK };

struct sbe_prefilter {
    bool any_one, any_two;       /* whether one-byte and 0F opcodes are wanted at all */
    uint8_t one[256];            /* wanted one-byte opcodes */
    uint8_t second[256];         /* what to do when 0F is followed by this byte */
    uint8_t modrm[256][256 / 8]; /* for the last two: the ModRM bytes that matter */
    uint8_t locked[2][256];      /* opcodes of any row, one-byte and behind 0F: wanted behind a LOCK prefix */
};

struct sbe_clean {
    size_t clean; /* no instruction that starts before this offset is a candidate */
    size_t dirty; /* the suspicious opcode lies before this offset; equal to clean if there was none */
};

/* wanted: the instructions, a bool per row, that must be found. */
void sbe_prefilter_build(struct sbe_prefilter *filter, const bool wanted[SBE_INSN_COUNT]);
struct sbe_clean sbe_prefilter_find(const struct sbe_prefilter *filter, enum sbe_mode mode,
                                    const uint8_t *code, size_t from, size_t to);

#endif
