/* State of one compilation; shared by compile.c, flags.c, again.c, access.c and rename.c. */
#ifndef VMK_DIRECT_COMPILER_H
#define VMK_DIRECT_COMPILER_H

#include "direct/asm.h"
#include "direct/loop.h"
#include "engine/guest.h"

/* Host registers with a duty. RBP is the guest's state, as in the engine's own code; RAX holds saved flags as
 * LAHF and SETO AL leave them. The others hold guest registers. */
#define STATE H_RBP
#define FLAGS H_RAX
#define TEMP H_R14
#define ADDRESS H_R15
#define HOST_POOL 11

/* What OF has to become before anybody sees it. */
enum of_fix { OF_RIGHT, OF_ZERO, OF_SF_XOR_CF };

/* Where the guest's flags are at a point of the code; in neither place: nobody will ask for them. */
struct flags_state {
    bool lazy;            /* in the guest's state as the engine left them: before the first write to them */
    bool saved;           /* in RAX, exactly as the guest would see them */
    bool live;            /* in the host's flags, but for the two corrections */
    bool clear_af;
    uint8_t fix_of;
    const struct insn *again; /* they can be had by doing this again: its operands are what they were */
};

/* Code emitted behind the loop: the slow path of an access, a way out, a block's safe point. */
struct stub {
    enum { STUB_ACCESS, STUB_EXIT, STUB_LIMIT } kind;
    uint8_t *from;        /* the jump to it */
    uintptr_t back;       /* where a load, or the safe point, goes on */
    uintptr_t behind;     /* where a store goes on */
    uint64_t pc;
    const void *out;      /* the engine's jump that the way out takes */
    const struct insn *insn;
    struct direct_access *access;
    struct direct_site *site;
    bool lazy;            /* the flags are (struct flags_state) */
    struct flags_state flags; /* as they are where it is jumped to */
};

struct jump {
    uint8_t *from;
    int16_t block;
};

struct compiler {
    struct assembler a;
    struct direct_loop *loop;
    const struct direct_host *host;
    const struct insn *insn;
    uint8_t map[16];      /* guest register -> host register, or NO_REG: it stays in memory */
    uint8_t left;         /* host register of guest->left, or NO_REG */
    uint16_t written;     /* guest registers that the loop changes */
    uint16_t vectors, vectors_written;
    struct flags_state flags;
    bool needed[DIRECT_INSNS]; /* the flags after this instruction are seen by somebody */
    const struct insn *entered[DIRECT_BLOCKS]; /* flags_state.again where the block begins; NULL: saved */
    struct {
        uint8_t base, access, size;
    } site_key[DIRECT_SITES];
    uintptr_t block_at[DIRECT_BLOCKS];
    struct stub stub[2 * DIRECT_INSNS + 3 * DIRECT_BLOCKS + 3];
    unsigned stubs;
    struct jump jump[2 * DIRECT_BLOCKS + 2];
    unsigned jumps;
    uintptr_t leave, spill[2], reload[2], find[2][5]; /* [1]: without flags, which are lazy */
};

static inline struct operand guest_reg(uint8_t reg)
{
    return at(STATE, reg * 8);
}

static inline struct operand guest_vector(unsigned reg)
{
    return at(STATE, (int32_t)(offsetof(struct guest, xmm) + sizeof(((struct guest *)0)->xmm[0]) * reg));
}

/* flags.c */
void flags_find_needed(struct compiler *c);
bool flags_may_be_lazy(const struct compiler *c); /* in block 0, until it writes them */
void flags_save(struct compiler *c);     /* makes `saved` true */
void flags_restore(struct compiler *c);  /* RAX -> the host's flags, RAX kept */
void flags_make_live(struct compiler *c, bool with_of);
void flags_before(struct compiler *c, const struct insn *i, bool needed);
void flags_after(struct compiler *c, const struct insn *i, bool needed);

/* again.c */
bool again_can(const struct insn *i);
bool again_spoils(const struct insn *again, const struct insn *i); /* i writes an operand of it */
void again_emit(struct compiler *c, const struct insn *again);     /* the host's flags; clobbers TEMP */
void again_plan(struct compiler *c);                               /* c->entered */
bool again_kept(const struct compiler *c, const struct direct_block *b); /* where its jumps lead */

/* rename.c: the instruction itself, its memory operand at [ADDRESS] */
void rename_insn(struct compiler *c, const struct insn *i);
uint8_t rename_in(struct compiler *c, uint8_t guest, uint8_t temp); /* a host register with its value */

/* access.c */
void access_check(struct compiler *c, const struct insn *i, struct stub *s); /* ADDRESS: the host's */
void access_stub(struct compiler *c, const struct stub *s);
void access_find_routines(struct compiler *c);
void access_forget_sites(struct compiler *c);

/* compile.c */
void call_routine(struct compiler *c, uintptr_t routine);

#endif
