/* The table of insns.def as the scanner reads it. Private to csrc/sbe/. */
#ifndef SBE_TABLE_H
#define SBE_TABLE_H

#include "vmk_sbe.h"

enum sbe_prefix_rule {
    SBE_PREFIX_ANY,
    SBE_PREFIX_NONE,  /* none of 66, F2, F3 */
    SBE_PREFIX_NOREP, /* neither F2 nor F3 */
    SBE_PREFIX_66,    /* 66, and neither F2 nor F3 */
    SBE_PREFIX_F2,
    SBE_PREFIX_F3,
    SBE_PREFIX_LOCK,
};

/* CONTROL: the processor ignores ModRM.mod and takes rm as a register; REX.R extends reg. */
enum sbe_modrm_rule { SBE_MODRM_NONE, SBE_MODRM_EITHER, SBE_MODRM_MEM, SBE_MODRM_REG, SBE_MODRM_CONTROL };

enum sbe_size_rule {
    SBE_SIZE_NONE,
    SBE_SIZE_BYTE,
    SBE_SIZE_WORD,
    SBE_SIZE_OPERAND,     /* 2, 4, 8 by mode, 66 and REX.W */
    SBE_SIZE_PORT,        /* 2 or 4: REX.W does nothing */
    SBE_SIZE_STACK,       /* as OPERAND, but 8 is the default in 64-bit mode */
    SBE_SIZE_LONG,        /* 8 in 64-bit mode, 4 elsewhere, whatever the prefixes */
    SBE_SIZE_LONG_OR_INT, /* 8 with REX.W, else 4 */
    SBE_SIZE_TABLE,       /* of the base in a pseudo-descriptor: 8 in 64-bit mode, else 2 or 4 */
};

enum sbe_access_rule { SBE_ACCESS_NONE, SBE_ACCESS_OPERAND, SBE_ACCESS_TABLE, SBE_ACCESS_OWORD };

enum { SBE_IMM_FAR_POINTER = 0xff };

/* One encoding. Zero in a field: no condition. */
struct sbe_form {
    uint8_t map, opcode, last; /* opcodes opcode..last; last 0: just the one */
    uint8_t prefix;            /* enum sbe_prefix_rule */
    uint8_t modrm;             /* enum sbe_modrm_rule */
    uint16_t regs;             /* permitted values of ModRM.reg, a bit each */
    uint8_t rm;                /* required ModRM.rm, plus 1 */
    uint8_t imm;               /* bytes of the immediate, or SBE_IMM_FAR_POINTER */
    uint8_t size, access;      /* enum sbe_size_rule, enum sbe_access_rule */
    uint8_t modes;             /* a bit per enum sbe_mode */
    uint8_t no_rex_b;          /* not with REX.B */
    uint8_t np;                /* #UD with 66, F2 or F3 */
    uint8_t ud;                /* #UD always */
};

enum { SBE_ROW_IDS = 8 };

struct sbe_row {
    const char *id, *mnemonic, *why, *inline_asm;
    uint8_t cls, kind, shape;
    uint8_t policy[SBE_PROFILE_COUNT];
    uint8_t allowed;    /* a bit per enum sbe_policy */
    uint8_t trap_modes; /* a bit per enum sbe_mode */
    uint16_t capstone[SBE_ROW_IDS];
    const struct sbe_form *forms;
    unsigned form_count;
};

extern const struct sbe_row sbe_rows[SBE_INSN_COUNT];

/* First and last opcode of a form, as a range. */
unsigned sbe_form_last(const struct sbe_form *form);
bool sbe_form_in_mode(const struct sbe_form *form, enum sbe_mode mode);

#endif
