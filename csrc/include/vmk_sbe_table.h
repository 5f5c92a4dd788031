/* The table of privileged and sensitive instructions as Python, documentation and tests enumerate it. Only
 * plain declarations, so that cffi reads this same file; strings are static. */

struct vmk_sbe_insn_info {
    const char *id;          /* SBE_INSN_ name */
    const char *mnemonic;    /* mnemonic and forms */
    const char *class_name;  /* statistics class */
    const char *kind;        /* privileged, sensitive, iopl */
    const char *full;        /* policy in the profile: native, trap, inline */
    const char *adaptive;
    const char *allowed;     /* policies sbe_set_policy() accepts, space-separated */
    const char *shape;       /* continue, end */
    const char *trap_modes;  /* CPU modes in which it may trap, space-separated */
    const char *inline_asm;  /* Intel syntax, or NULL */
    const char *why;         /* one sentence */
    unsigned capstone_ids[8]; /* 0-terminated; empty: Capstone does not know the instruction */
};

struct vmk_sbe_form_info {
    unsigned insn;           /* row */
    unsigned map;            /* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A */
    unsigned opcode_first, opcode_last;
    const char *prefix;      /* any, none, norep, 66, f2, f3, lock */
    const char *modrm;       /* none, any, mem, reg, control */
    unsigned reg_mask;       /* permitted ModRM.reg values, bit per value */
    int rm;                  /* required ModRM.rm, or -1 */
    unsigned modes;          /* bit per enum sbe_mode */
};

unsigned vmk_sbe_insn_count(void);
/* 0, or -1: no such row. */
int vmk_sbe_insn(unsigned row, struct vmk_sbe_insn_info *out);
unsigned vmk_sbe_form_count(void);
int vmk_sbe_form(unsigned index, struct vmk_sbe_form_info *out);
unsigned vmk_sbe_class_count(void);
/* NULL: no such class. */
const char *vmk_sbe_class_name(unsigned cls);
const char *vmk_sbe_class_text(unsigned cls);

/* Row of the sensitive instruction that code starts with in a mode (enum sbe_mode), and its length in
 * *len. -1: it starts with none, or with one that is cut off. */
int vmk_sbe_identify(unsigned mode, const uint8_t *code, unsigned n, unsigned *len);
