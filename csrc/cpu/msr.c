/* RDMSR and WRMSR: one table of what exists, with the checks of each; what is not in it is #GP(0) (or reads
 * as zero, when the VM says so).
 *
 * Follows the Intel SDM volume 4 for the CPU model's family and the AMD APM for EFER and the SYSCALL
 * registers. The local APIC's MSRs are its own (dev/lapic.h). */
#include "cpu/msr.h"

#include <stddef.h>

#include "core/vm.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/vmi.h"
#include "dev/lapic.h"
#include "engine/engine.h"

typedef bool msr_rd(struct vcpu *v, uint32_t index, uint64_t *value);
typedef bool msr_wr(struct vcpu *v, uint32_t index, uint64_t value);

struct msr {
    uint32_t first, last;
    msr_rd *rd; /* NULL: write only */
    msr_wr *wr; /* NULL: read only */
    const char *name;
};

/* RDCL_NO IBRS_ALL SKIP_L1DFL SSB_NO MDS_NO PSCHANGE_MC_NO TAA_NO SBDR_NO FBSDP_NO PSDP_NO BHI_NO PBRSB_NO
 * GDS_NO RFDS_NO ITS_NO */
#define ARCH_CAPABILITIES (0x0d10e17bull | 1ull << 62)
#define SPEC_CTRL_BITS 0x407ull /* IBRS, STIBP, SSBD, BHI_DIS_S */
#define MTRR_CAP 0x508u /* 8 variable ranges, fixed ranges, write-combining */
#define EFER_WRITABLE (EFER_SCE | EFER_LME | EFER_NXE)

static bool rd_tsc(struct vcpu *v, uint32_t i, uint64_t *x) { (void)i; *x = cpu_tsc(v); return true; }
static bool rd_adjust(struct vcpu *v, uint32_t i, uint64_t *x)
{
    (void)i;
    *x = (uint64_t)v->tsc_offset;
    return true;
}
static bool rd_zero(struct vcpu *v, uint32_t i, uint64_t *x) { (void)v, (void)i; *x = 0; return true; }
static bool rd_apic(struct vcpu *v, uint32_t i, uint64_t *x)
{
    vm_lock(v);
    int rc = lapic_msr_read(v->board->irq.lapic[v->id], i, x);
    vm_unlock(v);
    return !rc;
}
static bool rd_arch(struct vcpu *v, uint32_t i, uint64_t *x)
{
    (void)v, (void)i;
    *x = ARCH_CAPABILITIES;
    return true;
}
static bool rd_spec(struct vcpu *v, uint32_t i, uint64_t *x) { (void)i; *x = v->spec_ctrl; return true; }
static bool rd_microcode(struct vcpu *v, uint32_t i, uint64_t *x) { (void)i; *x = v->microcode; return true; }
/* Locked, VMX off. */
static bool rd_feature(struct vcpu *v, uint32_t i, uint64_t *x)
{
    (void)v, (void)i;
    *x = 1;
    return true;
}

static bool rd_mtrr_cap(struct vcpu *v, uint32_t i, uint64_t *x)
{
    (void)v, (void)i;
    *x = MTRR_CAP;
    return true;
}
static bool rd_mtrr_def(struct vcpu *v, uint32_t i, uint64_t *x) { (void)i; *x = v->mtrr_def; return true; }
static bool rd_mtrr_var(struct vcpu *v, uint32_t i, uint64_t *x) { *x = v->mtrr_var[i & 15]; return true; }

static uint64_t *mtrr_fixed(struct vcpu *v, uint32_t i)
{
    static const uint8_t index[] = {[0] = 1, [8] = 2, [9] = 3}; /* 0x250, 0x258, 0x259, then 0x268..0x26f */
    unsigned n = 11;
    if (i >= 0x268)
        n = i - 0x268 + 3;
    else if (i - 0x250 < sizeof(index) && index[i - 0x250])
        n = index[i - 0x250] - 1u;
    return n < 11 ? &v->mtrr_fixed[n] : NULL;
}

static bool rd_mtrr_fixed(struct vcpu *v, uint32_t i, uint64_t *x)
{
    uint64_t *p = mtrr_fixed(v, i);
    if (p)
        *x = *p;
    return p;
}

static bool wr_mtrr_fixed(struct vcpu *v, uint32_t i, uint64_t x)
{
    uint64_t *p = mtrr_fixed(v, i);
    if (p)
        *p = x;
    return p;
}

static bool wr_mtrr_def(struct vcpu *v, uint32_t i, uint64_t x)
{
    (void)i;
    if (x & ~0xcffull)
        return false;
    v->mtrr_def = x;
    return true;
}

static bool wr_mtrr_var(struct vcpu *v, uint32_t i, uint64_t x)
{
    if (x >> 40)
        return false;
    v->mtrr_var[i & 15] = x;
    return true;
}

static bool set_tsc_offset(struct vcpu *v, uint64_t offset)
{
    v->tsc_offset = (int64_t)offset;
    vm_lock(v);
    lapic_set_tsc_offset(v->board->irq.lapic[v->id], v->tsc_offset);
    vm_unlock(v);
    return true;
}

static bool wr_tsc(struct vcpu *v, uint32_t i, uint64_t x)
{
    (void)i;
    return set_tsc_offset(v, x - board_now(v->board));
}
static bool wr_adjust(struct vcpu *v, uint32_t i, uint64_t x) { (void)i; return set_tsc_offset(v, x); }
static bool wr_ignore(struct vcpu *v, uint32_t i, uint64_t x) { (void)v, (void)i, (void)x; return true; }
static bool wr_command(struct vcpu *v, uint32_t i, uint64_t x) { (void)v, (void)i; return x <= 1; }
static bool wr_apic(struct vcpu *v, uint32_t i, uint64_t x)
{
    vm_lock(v);
    int rc = lapic_msr_write(v->board->irq.lapic[v->id], i, x);
    vm_unlock(v);
    return !rc;
}
static bool wr_microcode(struct vcpu *v, uint32_t i, uint64_t x) { (void)i; v->microcode = x; return true; }

static bool wr_spec(struct vcpu *v, uint32_t i, uint64_t x)
{
    (void)i;
    if (x & ~SPEC_CTRL_BITS)
        return false;
    v->spec_ctrl = x;
    return true;
}

static bool rd_efer(struct vcpu *v, uint32_t i, uint64_t *x) { (void)i; *x = v->guest->efer; return true; }

static bool wr_efer(struct vcpu *v, uint32_t i, uint64_t x)
{
    struct guest *g = v->guest;
    (void)i;
    if (x & ~(uint64_t)(EFER_WRITABLE | EFER_LMA) || (g->cr[0] & CR0_PG && (x ^ g->efer) & EFER_LME))
        return false;
    bool nx_changed = (x ^ g->efer) & EFER_NXE;
    g->efer = (x & EFER_WRITABLE) | (g->efer & EFER_LMA);
    if (nx_changed)
        engine_flush_tlb(v);
    return true;
}

/* Plain registers of the CPU state, by index. */
static uint64_t *plain(struct vcpu *v, uint32_t index)
{
    struct guest *g = v->guest;
    switch (index) {
    case 0x175: return &g->sysenter_esp;
    case 0x176: return &g->sysenter_eip;
    case 0x1a0: return &g->misc_enable;
    case 0x277: return &g->pat;
    case 0xc0000081: return &g->star;
    case 0xc0000082: return &g->lstar;
    case 0xc0000083: return &g->cstar;
    case 0xc0000084: return &g->fmask;
    case 0xc0000100: return &g->seg[SEG_FS].base;
    case 0xc0000101: return &g->seg[SEG_GS].base;
    case 0xc0000102: return &g->kernel_gs_base;
    default: return &g->tsc_aux; /* 0xc0000103 */
    }
}

static bool rd_plain(struct vcpu *v, uint32_t i, uint64_t *x) { *x = *plain(v, i); return true; }
static bool wr_plain(struct vcpu *v, uint32_t i, uint64_t x) { *plain(v, i) = x; return true; }
static bool wr_address(struct vcpu *v, uint32_t i, uint64_t x)
{
    return cpu_canonical(x) && wr_plain(v, i, x);
}
static bool wr_low32(struct vcpu *v, uint32_t i, uint64_t x) { return !(x >> 32) && wr_plain(v, i, x); }
static bool rd_sysenter_cs(struct vcpu *v, uint32_t i, uint64_t *x)
{
    (void)i;
    *x = v->guest->sysenter_cs;
    return true;
}
static bool wr_sysenter_cs(struct vcpu *v, uint32_t i, uint64_t x)
{
    (void)i;
    v->guest->sysenter_cs = (uint32_t)x;
    return true;
}

static bool wr_pat(struct vcpu *v, uint32_t i, uint64_t x)
{
    for (unsigned n = 0; n < 8; n++) {
        unsigned type = x >> (8 * n) & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return wr_plain(v, i, x);
}

static bool rd_vmi(struct vcpu *v, uint32_t i, uint64_t *x) { (void)i; *x = v->vmi_page; return true; }
static bool wr_vmi(struct vcpu *v, uint32_t i, uint64_t x) { (void)i; return vmi_set_page(v, x); }

static const struct msr msrs[] = {
    {0x10, 0x10, rd_tsc, wr_tsc, "TSC"},
    {0x17, 0x17, rd_zero, NULL, "PLATFORM_ID"},
    {0x1b, 0x1b, rd_apic, wr_apic, "APIC_BASE"},
    {0x3a, 0x3a, rd_feature, NULL, "FEATURE_CONTROL"},
    {0x3b, 0x3b, rd_adjust, wr_adjust, "TSC_ADJUST"},
    {0x48, 0x48, rd_spec, wr_spec, "SPEC_CTRL"},
    {0x49, 0x49, NULL, wr_command, "PRED_CMD"},
    {0x79, 0x79, NULL, wr_ignore, "BIOS_UPDT_TRIG"},
    {0x8b, 0x8b, rd_microcode, wr_microcode, "BIOS_SIGN_ID"},
    {0xfe, 0xfe, rd_mtrr_cap, NULL, "MTRRCAP"},
    {0x10a, 0x10a, rd_arch, NULL, "ARCH_CAPABILITIES"},
    {0x174, 0x174, rd_sysenter_cs, wr_sysenter_cs, "SYSENTER_CS"},
    {0x175, 0x176, rd_plain, wr_address, "SYSENTER_ESP, SYSENTER_EIP"},
    {0x179, 0x17a, rd_zero, wr_ignore, "MCG_CAP, MCG_STATUS"},
    {0x198, 0x19c, rd_zero, wr_ignore, "PERF_STATUS .. THERM_STATUS"},
    {0x1a0, 0x1a0, rd_plain, wr_plain, "MISC_ENABLE"},
    {0x1d9, 0x1d9, rd_zero, wr_ignore, "DEBUGCTL"},
    {0x200, 0x20f, rd_mtrr_var, wr_mtrr_var, "MTRR_PHYSBASEn, MTRR_PHYSMASKn"},
    {0x250, 0x26f, rd_mtrr_fixed, wr_mtrr_fixed, "MTRR_FIX"},
    {0x277, 0x277, rd_plain, wr_pat, "PAT"},
    {0x2ff, 0x2ff, rd_mtrr_def, wr_mtrr_def, "MTRR_DEF_TYPE"},
    {0x6e0, 0x6e0, rd_apic, wr_apic, "TSC_DEADLINE"},
    {0x800, 0x8ff, rd_apic, wr_apic, "x2APIC"},
    {VMI_MSR, VMI_MSR, rd_vmi, wr_vmi, "page of calls to the monitor"},
    {0xc0000080, 0xc0000080, rd_efer, wr_efer, "EFER"},
    {0xc0000081, 0xc0000081, rd_plain, wr_plain, "STAR"},
    {0xc0000082, 0xc0000083, rd_plain, wr_address, "LSTAR, CSTAR"},
    {0xc0000084, 0xc0000084, rd_plain, wr_low32, "FMASK"},
    {0xc0000100, 0xc0000102, rd_plain, wr_address, "FS_BASE, GS_BASE, KERNEL_GS_BASE"},
    {0xc0000103, 0xc0000103, rd_plain, wr_low32, "TSC_AUX"},
};

/* Row plus 1 of each MSR in the ranges that have any; filled when the program starts. */
static uint8_t low_row[0x900], monitor_row[0x800], high_row[0x110];

static uint8_t *row_of(uint32_t index)
{
    static const struct {
        uint32_t base, count;
        uint8_t *row;
    } ranges[] = {{0, sizeof(low_row), low_row},
                  {0xc0000000, sizeof(high_row), high_row},
                  {VMI_MSR & ~0x7ffu, sizeof(monitor_row), monitor_row}};
    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (index - ranges[i].base < ranges[i].count)
            return &ranges[i].row[index - ranges[i].base];
    return NULL;
}

__attribute__((constructor)) static void index_rows(void)
{
    for (size_t i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
        for (uint32_t at = msrs[i].first; at <= msrs[i].last; at++)
            *row_of(at) = (uint8_t)(i + 1);
}

static const struct msr *find(uint32_t index)
{
    const uint8_t *row = row_of(index);
    return row && *row ? &msrs[*row - 1] : NULL;
}

bool msr_read(struct vcpu *v, uint32_t index, uint64_t *value)
{
    const struct msr *m = find(index);
    *value = 0;
    return m ? m->rd && m->rd(v, index, value) : v->board->cfg.msr_ignore;
}

bool msr_write(struct vcpu *v, uint32_t index, uint64_t value)
{
    const struct msr *m = find(index);
    return m ? m->wr && m->wr(v, index, value) : v->board->cfg.msr_ignore;
}

static void note(struct vcpu *v, uint32_t index, uint64_t value, bool write, bool ok)
{
    v->stats.trap[SBE_CLASS_MSR]++;
    board_trace_to(v->trace, v->board, VMK_TRACE_MSR, v->id, index, value,
                (write ? 1 : 0) | (ok ? 0 : 2));
}

void cpu_rdmsr(struct vcpu *v, uintptr_t ra)
{
    uint64_t *reg = v->guest->reg, value;
    bool ok = msr_read(v, (uint32_t)reg[RCX], &value);
    note(v, (uint32_t)reg[RCX], value, false, ok);
    if (!ok)
        engine_raise(v, EXC_GP, 0, ra);
    reg[RAX] = (uint32_t)value;
    reg[RDX] = value >> 32;
}

void cpu_wrmsr(struct vcpu *v, uintptr_t ra)
{
    uint64_t *reg = v->guest->reg;
    uint64_t value = (uint32_t)reg[RAX] | reg[RDX] << 32;
    bool ok = msr_write(v, (uint32_t)reg[RCX], value);
    note(v, (uint32_t)reg[RCX], value, true, ok);
    if (!ok)
        engine_raise(v, EXC_GP, 0, ra);
}
