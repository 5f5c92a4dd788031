/* Refuses any engine but the one this build knows: its version, the places of its fields, its functions
 * behind its class table.
 *
 * Runs once per process. A wrong offset would corrupt guests silently; here it is one clear line instead. */
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/private.h"
#include "vmk_api.h"

tlb_fill_fn x86_cpu_tlb_fill_x86_64;
exec_interrupt_fn x86_cpu_exec_interrupt_x86_64;

struct probe {
    int id;
    size_t offset;
    const char *name;
};

/* Registers written through the public API must appear where struct guest has them. */
static const struct probe probes[] = {
    {UC_X86_REG_RAX, offsetof(struct guest, reg[RAX]), "RAX"},
    {UC_X86_REG_RBX, offsetof(struct guest, reg[RBX]), "RBX"},
    {UC_X86_REG_R15, offsetof(struct guest, reg[R15]), "R15"},
    {UC_X86_REG_RIP, offsetof(struct guest, rip), "RIP"},
    {UC_X86_REG_CR2, offsetof(struct guest, cr[2]), "CR2"},
    {UC_X86_REG_DR0, offsetof(struct guest, dr[0]), "DR0"},
    {UC_X86_REG_DR3, offsetof(struct guest, dr[3]), "DR3"},
    {UC_X86_REG_FS_BASE, offsetof(struct guest, seg[SEG_FS].base), "FS base"},
};

static const char *check_registers(uc_engine *uc)
{
    struct guest *g = CPU_ENV(UC_CPU(uc));
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        uint64_t magic = 0x5a00000000001000ull + i * 0x111000, seen;
        if (uc_reg_write(uc, probes[i].id, &magic))
            return probes[i].name;
        memcpy(&seen, (char *)g + probes[i].offset, sizeof(seen));
        if (seen != magic)
            return probes[i].name;
    }
    return NULL;
}

static const char *check_tables(uc_engine *uc)
{
    struct uc_x86_mmr gdt = {.base = 0x12345000, .limit = 0x777};
    void *cpu = UC_CPU(uc), *cc = CPU_CLASS(cpu);
    struct guest *g = CPU_ENV(cpu);
    if (uc_reg_write(uc, UC_X86_REG_GDTR, &gdt) || g->gdt.base != gdt.base || g->gdt.limit != gdt.limit)
        return "GDTR";
    if (CLASS_TLB_FILL(cc) != x86_cpu_tlb_fill_x86_64)
        return "the TLB fill slot";
    if (CLASS_EXEC_INTERRUPT(cc) != x86_cpu_exec_interrupt_x86_64)
        return "the interrupt slot";
    if (CPU_TLB_FAST(cpu)->mask != 255 * sizeof(struct tlb_entry) ||
        CPU_TLB_FAST(cpu)->table->read != UINT64_MAX || CPU_TLB_DESC(cpu)->large_mask != UINT64_MAX ||
        CPU_TLB_DESC(cpu)->victim[7].code != UINT64_MAX)
        return "the TLB";
    if (TCG_UC(UC_TCG_CTX(uc)) != uc)
        return "the translator";
    return NULL;
}

static const char *check_layout(uc_engine *uc)
{
    void *cpu = UC_CPU(uc);
    if (!cpu || CPU_UC(cpu) != uc)
        return "the CPU";
    if (!CPU_ENV(cpu) || CPU_ENV(cpu)->uc != uc)
        return "the register file";
    if (UC_OWNER(uc))
        return "the owner slot";
    const char *bad = check_registers(uc);
    return bad ? bad : check_tables(uc);
}

int engine_selfcheck(char *err, size_t errlen)
{
    static bool passed;
    unsigned major, minor;
    uc_engine *uc = NULL;
    uint64_t first_use;
    if (passed)
        return VMK_OK;
    unsigned version = uc_version(&major, &minor);
    if (major != PINNED_MAJOR || minor != PINNED_MINOR || (version >> 8 & 0xff) != PINNED_PATCH) {
        snprintf(err, errlen,
                 "this build is for Unicorn %d.%d.%d, but is linked with %u.%u.%u: rebuild with the pinned "
                 "version",
                 PINNED_MAJOR, PINNED_MINOR, PINNED_PATCH, major, minor, version >> 8 & 0xff);
        return VMK_EENGINE;
    }
    if (uc_open(UC_ARCH_X86, UC_MODE_64, &uc) || uc_reg_read(uc, UC_X86_REG_RIP, &first_use)) {
        snprintf(err, errlen, "Unicorn does not open an x86-64 engine");
        return VMK_EENGINE;
    }
    const char *bad = check_layout(uc);
    uc_close(uc);
    if (bad) {
        snprintf(err, errlen,
                 "Unicorn %d.%d.%d has %s elsewhere than this build knows: refusing to run a guest on it",
                 PINNED_MAJOR, PINNED_MINOR, PINNED_PATCH, bad);
        return VMK_EENGINE;
    }
    passed = true;
    return VMK_OK;
}
