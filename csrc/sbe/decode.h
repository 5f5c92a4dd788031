/* Prefixes, opcode and ModRM of one instruction, and its length. Private to csrc/sbe/. */
#ifndef SBE_DECODE_H
#define SBE_DECODE_H

#include "table.h"

enum sbe_verdict {
    SBE_DECODED,
    SBE_CUT_OFF,  /* more bytes are needed to tell */
    SBE_UNDEFINED /* #UD, or #GP for more than 15 bytes */
};

struct sbe_decoded {
    uint8_t mode;
    uint8_t map, opcode;
    uint8_t opcode_end; /* offset of the byte behind the opcode: ModRM or immediate */
    uint8_t rex;        /* 0 if none is in force */
    uint8_t segment;    /* enum sbe_segment, or SBE_REG_NONE without an override */
    bool has_66, has_67, has_f2, has_f3, has_lock;
    bool repne_last; /* of F2 and F3 the later one counts */
};

/* Prefixes and opcode. On SBE_DECODED at least opcode_end bytes are there, the ModRM byte may not be. */
enum sbe_verdict sbe_decode(enum sbe_mode mode, const uint8_t *code, size_t avail, struct sbe_decoded *out);
bool sbe_is_prefix(enum sbe_mode mode, uint8_t byte);

unsigned sbe_operand_size(const struct sbe_decoded *d);
unsigned sbe_address_size(const struct sbe_decoded *d);

/* Bytes of ModRM, SIB and displacement, from the ModRM byte on; 0: cut off. */
unsigned sbe_modrm_length(const struct sbe_decoded *d, const uint8_t *modrm, size_t avail);

/* Whether a ModRM byte follows the opcode. */
bool sbe_has_modrm(const struct sbe_decoded *d);

/* Length of any instruction, defined by opcode class alone: for what Capstone refuses. */
enum sbe_verdict sbe_length(enum sbe_mode mode, const uint8_t *code, size_t avail, unsigned *len);

#endif
