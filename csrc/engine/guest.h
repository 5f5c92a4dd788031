/* The guest CPU's register file, laid out as Unicorn 2.1.4's x86-64 CPU state has it.
 *
 * The monitor reads and writes it in place: a register access is one load. The offsets are those of exactly
 * this version; the build checks them against this declaration and engine/selfcheck.c checks the declaration
 * against the running engine, so that another version is refused and never misread. `rip` and the arithmetic
 * flags are only current where engine.h says so. */
#ifndef VMK_ENGINE_GUEST_H
#define VMK_ENGINE_GUEST_H

#include <stddef.h>
#include <stdint.h>

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

struct segment {
    uint32_t selector;
    uint32_t pad;
    uint64_t base;
    uint32_t limit;
    uint32_t flags; /* descriptor bits 8..23 at their place in the descriptor's high dword */
};

struct guest {
    uint64_t reg[16];
    uint64_t rip;
    uint64_t rflags;         /* without the lazily computed arithmetic flags and DF while the engine runs */
    uint64_t cc_dst, cc_src, cc_src2;
    uint32_t cc_op;
    int32_t df;
    uint32_t hflags, hflags2;
    struct segment seg[6];
    struct segment ldt, tr, gdt, idt;
    uint64_t cr[5];
    uint8_t pad_464[496 - 464];
    int32_t a20_mask;
    uint8_t pad_500[592 - 500];
    uint64_t efer;
    uint8_t pad_600[610 - 600];
    uint16_t fpuc;
    uint8_t fptags[8];
    uint8_t pad_620[780 - 620];
    uint8_t x87_flush_results; /* the engine's; no x87 does */
    uint8_t pad_781[816 - 781];
    uint32_t mxcsr;
    uint32_t pad_820;
    uint8_t xmm[16][64];     /* the first 16 bytes of each */
    uint8_t pad_1848[4800 - 1848];
    uint32_t sysenter_cs;
    uint32_t pad_4804;
    uint64_t sysenter_esp, sysenter_eip;
    uint64_t star;
    uint64_t pad_4832;
    uint64_t lstar, cstar, fmask, kernel_gs_base;
    /* The engine's own TSC fields, which nothing reads once RDTSC is ours. Retired instructions are counted
     * down: `left` until a block calls the safe point before it runs, which is at count `limit`. Every block
     * starts by taking its instructions from `left`, by one displacement; only the vCPU's thread writes
     * either. Use guest_icount() and guest_set_limit(). */
    int64_t left;
    uint64_t limit;
    uint64_t pad_4888;
    uint64_t tsc_aux, xcr0, mcg_status, misc_enable;
    uint8_t pad_4928[5280 - 4928];
    uint64_t pat;
    uint8_t pad_5288[5384 - 5288];
    int32_t error_code;
    int32_t exception_is_int;
    uint64_t exception_next_eip;
    uint64_t dr[8];
    uint8_t pad_5464[5496 - 5464];
    int32_t old_exception;
    uint8_t pad_5500[5632 - 5500];
    uint64_t features[34];   /* what the decoder accepts, by CPUID word */
    uint8_t pad_5904[7000 - 5904];
    void *uc;
};

#define AT(member, offset) _Static_assert(offsetof(struct guest, member) == (offset), #member)
AT(rip, 128);
AT(rflags, 136);
AT(cc_op, 168);
AT(hflags, 176);
AT(seg, 184);
AT(ldt, 328);
AT(tr, 352);
AT(gdt, 376);
AT(idt, 400);
AT(cr, 424);
AT(a20_mask, 496);
AT(efer, 592);
AT(fpuc, 610);
AT(x87_flush_results, 780);
AT(mxcsr, 816);
AT(xmm, 824);
AT(sysenter_cs, 4800);
AT(star, 4824);
AT(lstar, 4840);
AT(kernel_gs_base, 4864);
AT(left, 4872);
AT(limit, 4880);
AT(tsc_aux, 4896);
AT(xcr0, 4904);
AT(misc_enable, 4920);
AT(pat, 5280);
AT(error_code, 5384);
AT(dr, 5400);
AT(old_exception, 5496);
AT(features, 5632);
AT(uc, 7000);
#undef AT

/* TR's cached descriptor: to the engine the TSS in use is of the available type, and it aborts the process
 * over any other. */
#define TSS32_IN_USE 0x8900u

/* The engine's hidden flags: CPU mode bits that are part of a translated block's key. */
enum hflag {
    HF_CPL = 3u,
    HF_INHIBIT = 1u << 3, /* interrupt shadow */
    HF_CS32 = 1u << 4,
    HF_SS32 = 1u << 5,
    HF_ADDSEG = 1u << 6,
    HF_PE = 1u << 7,
    HF_LMA = 1u << 14,
    HF_CS64 = 1u << 15,
    HF_SMAP = 1u << 23,
};
enum { HF2_GIF = 1, HF2_NMI = 4 };

enum rflag {
    FLAG_CF = 1,
    FLAG_TF = 1 << 8,
    FLAG_IF = 1 << 9,
    FLAG_DF = 1 << 10,
    FLAG_IOPL = 3 << 12,
    FLAG_NT = 1 << 14,
    FLAG_RF = 1 << 16,
    FLAG_VM = 1 << 17,
    FLAG_AC = 1 << 18,
    FLAG_ID = 1 << 21,
    FLAGS_ARITH = 0x8d5,
};
#define CC_OP_EFLAGS 1 /* cc_src holds the arithmetic flags themselves */

enum cr0_bit {
    CR0_PE = 1,
    CR0_MP = 2,
    CR0_EM = 4,
    CR0_TS = 8,
    CR0_ET = 16,
    CR0_NE = 32,
    CR0_WP = 1 << 16,
    CR0_AM = 1 << 18,
    CR0_NW = 1 << 29,
    CR0_CD = 1 << 30
};
#define CR0_PG 0x80000000u
enum cr4_bit {
    CR4_VME = 1,
    CR4_PVI = 2,
    CR4_TSD = 4,
    CR4_DE = 8,
    CR4_PSE = 16,
    CR4_PAE = 32,
    CR4_MCE = 64,
    CR4_PGE = 128,
    CR4_PCE = 256,
    CR4_OSFXSR = 512,
    CR4_OSXMMEXCPT = 1024,
    CR4_UMIP = 1 << 11,
    CR4_FSGSBASE = 1 << 16,
    CR4_OSXSAVE = 1 << 18,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21
};
enum efer_bit { EFER_SCE = 1, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11 };

enum vector {
    EXC_DE = 0,
    EXC_DB = 1,
    EXC_NMI = 2,
    EXC_BP = 3,
    EXC_UD = 6,
    EXC_NM = 7,
    EXC_DF = 8,
    EXC_TS = 10,
    EXC_NP = 11,
    EXC_SS = 12,
    EXC_GP = 13,
    EXC_PF = 14,
    EXC_MF = 16,
    EXC_AC = 17,
    EXC_XF = 19
};

static inline unsigned guest_cpl(const struct guest *g)
{
    return g->hflags & HF_CPL;
}

/* Retired instructions, exact at block starts; inside a block they include all of it. */
static inline uint64_t guest_icount(const struct guest *g)
{
    return g->limit - (uint64_t)g->left;
}

/* The safe point runs before the first block that starts at or past `limit`. */
static inline void guest_set_limit(struct guest *g, uint64_t limit)
{
    g->left = (int64_t)(limit - guest_icount(g));
    g->limit = limit;
}

#endif
