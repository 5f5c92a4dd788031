/* From bytes to a row of the table. Private to csrc/sbe/. */
#ifndef SBE_MATCH_H
#define SBE_MATCH_H

#include "decode.h"

enum { SBE_MAX_FORMS = 256 };

struct sbe_index_entry {
    const struct sbe_form *form;
    uint16_t insn, next;
};

/* The forms of the table, chained by opcode map and opcode. Entry 0 is the end of every chain. */
struct sbe_index {
    uint16_t head[SBE_MAP_COUNT][256];
    struct sbe_index_entry entry[SBE_MAX_FORMS];
};

struct sbe_match {
    const struct sbe_form *form; /* NULL: no row has this instruction */
    uint16_t insn;
    uint8_t len;
    struct sbe_decoded decoded;
};

/* False: the table has outgrown SBE_MAX_FORMS. */
bool sbe_index_build(struct sbe_index *index);
/* SBE_DECODED with form NULL means: another instruction, ask Capstone. */
enum sbe_verdict sbe_match(const struct sbe_index *index, enum sbe_mode mode, const uint8_t *code,
                           size_t avail, struct sbe_match *out);
/* Whether a form could take this ModRM byte under some prefixes: for the prefilter. */
bool sbe_form_takes_modrm(const struct sbe_form *form, uint8_t modrm);

/* What the monitor needs of a matched instruction; code has match->len bytes. */
struct sbe_operand sbe_operand(const struct sbe_match *match, const uint8_t *code);

#endif
