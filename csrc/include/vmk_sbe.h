/*
 * Scan before execution: the interface of csrc/sbe/ to the engine and the monitor.
 *
 * The engine is about to translate a block. It hands the block's bytes to sbe_scan(), which answers with a
 * list of patches: replacement bytes, exactly as long as the instruction they stand for, that the engine's
 * code fetch must show instead of the original ones. Guest memory is never written. Each patch names a site;
 * the engine passes the site's index as an immediate to the monitor's trap entry, so nothing is looked up at
 * run time.
 *
 * How instructions look is Intel SDM vol. 2 chapter 2 and appendix A, AMD APM vol. 3 for what is AMD's alone.
 * Nothing here knows the engine, a device or guest memory. One struct sbe belongs to one VM; its calls are
 * not thread-safe: whoever holds the translation lock may call, and sbe_enter() alone is safe beside them.
 */
#ifndef VMK_SBE_H
#define VMK_SBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Virtual-8086 code decodes as 16-bit code, but IOPL governs CLI, STI, PUSHF, POPF and IRET otherwise. */
enum sbe_mode { SBE_MODE_16, SBE_MODE_32, SBE_MODE_64, SBE_MODE_VM86, SBE_MODE_COUNT };

enum sbe_policy { SBE_NATIVE, SBE_TRAP, SBE_INLINE, SBE_POLICY_COUNT };

/* full: everything the monitor can emulate traps. adaptive: only what must. off: nothing. In each, an
 * instruction of the table with a LOCK prefix traps, to be #UD. */
enum sbe_profile { SBE_FULL, SBE_ADAPTIVE, SBE_OFF, SBE_PROFILE_COUNT };

/*
 * CONTINUE: n-1 DS-override prefixes and OUT DX,AL (EE): the block goes on behind the trap.
 * END:      n-2 DS-override prefixes and SYSCALL (0F 05): the block ends at the trap, for what may change
 *           mode, paging, segmentation or the interrupt state. An instruction of one byte becomes
 *           HLT (F4) at CPL 0 and IRET (CF) above it, the one-byte instructions that end a block there.
 */
enum sbe_shape { SBE_CONTINUE, SBE_END };

/* Privileged: #GP above CPL 0. IOPL: governed by IOPL and the TSS bitmap. Sensitive: runs at any level,
 * but shows or depends on what the monitor virtualises. */
enum sbe_kind { SBE_PRIVILEGED, SBE_SENSITIVE, SBE_IOPL };

/* Classes for statistics, then one number per row of the table: handlers are designated-initialiser
 * arrays. */
enum sbe_class {
#define CLASS(id, text) SBE_CLASS_##id,
#include "../sbe/classes.def"
#undef CLASS
    SBE_CLASS_COUNT
};

enum sbe_insn {
#define INSN(id, ...) SBE_INSN_##id,
#include "../sbe/insns.def"
#undef INSN
    SBE_INSN_COUNT
};

enum sbe_map { SBE_MAP_ONE, SBE_MAP_0F, SBE_MAP_0F38, SBE_MAP_0F3A, SBE_MAP_COUNT };

enum sbe_segment { SBE_SEG_ES, SBE_SEG_CS, SBE_SEG_SS, SBE_SEG_DS, SBE_SEG_FS, SBE_SEG_GS };

enum {
    SBE_MAX_INSN = 15,   /* bytes of an instruction */
    SBE_MAX_BLOCK = 512, /* instructions the translator puts into one block */
    SBE_REG_RIP = 16,    /* as base: the address is relative to the next instruction */
    SBE_REG_NONE = 0xff,
};

enum sbe_operand_flags {
    SBE_OP_REP = 1 << 0,
    SBE_OP_REPNE = 1 << 1,
    SBE_OP_LOCK = 1 << 2, /* with MOV CR8 only: it was LOCK MOV CR0, #UD unless AltMovCr8 is offered */
    SBE_OP_66 = 1 << 3,
    SBE_OP_REX_W = 1 << 4,
    SBE_OP_REG = 1 << 5, /* rm is a general register */
    SBE_OP_MEM = 1 << 6, /* base, index, scale, disp, segment and access are valid */
    SBE_OP_UD = 1 << 7,  /* a prefix makes this #UD on a processor, though the engine would run it */
};

/* What the monitor needs to emulate the instruction without decoding it again. Register numbers are 0..15
 * in the hardware's order (rax rcx rdx rbx rsp rbp rsi rdi r8 …). */
struct sbe_operand {
    uint8_t map;          /* enum sbe_map */
    uint8_t opcode;       /* last opcode byte */
    uint8_t flags;        /* enum sbe_operand_flags */
    uint8_t size;         /* effective operand size: 1, 2, 4, 8, or 0 where the instruction has none */
    uint8_t address_size; /* 2, 4, 8 */
    uint8_t reg;          /* ModRM.reg: CR, DR, segment or general register, or the group's /digit */
    uint8_t rm;           /* general register if SBE_OP_REG, else SBE_REG_NONE */
    uint8_t base, index;  /* general register, SBE_REG_RIP (base only) or SBE_REG_NONE */
    uint8_t scale;        /* 1, 2, 4, 8 */
    uint8_t segment;      /* enum sbe_segment, of the memory operand or of the string source */
    uint8_t access;       /* bytes of the memory operand; 0: only its address is used (INVLPG) */
    uint16_t selector;    /* far pointer */
    int32_t disp;         /* sign-extended; truncate base + index * scale + disp to address_size */
    uint32_t imm;         /* port, vector or far offset */
};

struct sbe_site {
    uint64_t pc; /* linear address */
    uint64_t hits;
    uint32_t cls;  /* enum sbe_class */
    uint16_t insn; /* enum sbe_insn */
    uint8_t mode, cpl, policy, shape, len;
    uint8_t bytes[SBE_MAX_INSN], replacement[SBE_MAX_INSN];
    struct sbe_operand op;
};

struct sbe_patch {
    uint64_t pc;
    uint32_t site;
    uint8_t len;
    uint8_t bytes[SBE_MAX_INSN];
};

/*
 * Every byte in [start, end) is settled: patch bytes inside a patch, the original elsewhere. Patches are in
 * order of address. When the translator wants a byte at or past end, call sbe_scan_more() with the bytes from
 * resume on. resume is always the start of an instruction; it lies before end where a stretch was proved free
 * of candidates without being disassembled. truncated: the instruction at end == resume is cut off by the end
 * of the bytes given, so the next call must bring those of the next page. undecodable: the instruction before
 * end is one that Capstone refuses; the engine runs it as it is or raises #UD.
 */
struct sbe_scan {
    bool adaptive; /* set by the caller: what profile adaptive leaves native is native here */
    uint64_t start, end, resume;
    uint8_t mode, cpl;
    bool truncated, undecodable;
    unsigned insns, n;
    struct sbe_patch patch[SBE_MAX_BLOCK];
};

struct sbe_config {
    enum sbe_profile profile;
    uint32_t max_sites; /* 0: one million */
    bool no_prefilter;  /* disassemble every block to its end: for tests and measurements */
};

struct sbe_stats {
    uint64_t blocks;       /* sbe_scan() calls */
    uint64_t clean;        /* of these, settled by the prefilter alone */
    uint64_t extensions;   /* sbe_scan_more() calls */
    uint64_t instructions; /* disassembled */
    uint64_t candidates;   /* instructions of the table seen, whatever their policy */
    uint64_t undecodable;
    uint64_t sites; /* live now */
    double seconds;
};

struct sbe;

/* NULL: out of memory, or Capstone refused to start. */
struct sbe *sbe_create(const struct sbe_config *config);
void sbe_destroy(struct sbe *sbe);

/*
 * Scan a new block at linear address pc. 0, or a negative errno: -EINVAL (bad mode, no bytes), -ENOSPC
 * (max_sites reached: flush the engine's blocks, then sbe_forget_sites()), -ENOMEM. sbe_error() has the line
 * for the user. A translation that starts over starts with sbe_scan() again.
 */
int sbe_scan(struct sbe *sbe, enum sbe_mode mode, unsigned cpl, uint64_t pc, const uint8_t *code,
             size_t avail, struct sbe_scan *out);
/* Go on: code points at the byte of out->resume, and avail must reach past out->end. Patches are appended,
 * end only grows. -EILSEQ: the translator wants code behind an instruction that has no length; refuse to
 * run it. */
int sbe_scan_more(struct sbe *sbe, const uint8_t *code, size_t avail, struct sbe_scan *out);

/* NULL: no such site. The pointer stays valid until sbe_forget_sites() or sbe_destroy(). */
const struct sbe_site *sbe_site(const struct sbe *sbe, uint32_t site);
uint32_t sbe_site_count(const struct sbe *sbe);

/* Sites in chunks of SBE_SITE_CHUNK, for the trap's own way to them (sbe/enter.h). Stays where it is. */
enum { SBE_SITE_CHUNK = 1024 };
struct sbe_site *const *sbe_sites_of(const struct sbe *sbe);
/* Only when no translated block is left: site numbers start again at 0. */
void sbe_forget_sites(struct sbe *sbe);

/*
 * Policies are set before the first scan, or followed by a flush of the engine's blocks. -EPERM: the row does
 * not allow the policy. -ENODATA: inline, but no sequence was set. Inline applies at CPL 0 only; above it,
 * and where the sequence is longer than the instruction, the site traps.
 */
int sbe_set_policy(struct sbe *sbe, enum sbe_insn insn, enum sbe_policy policy);
enum sbe_policy sbe_policy(const struct sbe *sbe, enum sbe_insn insn, enum sbe_mode mode, unsigned cpl);
/* -EPERM: the row has no inline form. -EINVAL: the bytes are not one NOP or PAUSE of that mode. */
int sbe_set_inline(struct sbe *sbe, enum sbe_insn insn, enum sbe_mode mode, const uint8_t *bytes, size_t n);

/* What a 32- or 64-bit instruction does with the stack segment: a mask, 0 for nothing or unknown bytes. */
enum sbe_stack_use {
    SBE_STACK_OPERAND = 1,  /* its memory operand is based on rSP or rBP */
    SBE_STACK_IMPLICIT = 2, /* it pushes or pops */
    SBE_STACK_MEMORY = 4,   /* it has a memory operand */
};
unsigned sbe_stack_use(enum sbe_mode mode, const uint8_t *code, size_t avail);

void sbe_stats(const struct sbe *sbe, struct sbe_stats *out);
const char *sbe_error(const struct sbe *sbe); /* the last failure, one line; "" if there was none */

#endif
