/* CPUID: one table of features, named models, and the leaves made from them.
 *
 * Only what the engine executes and the monitor emulates is offered: no AVX, PCID, MCE, VME, SGX, performance
 * counters. ERMS is not offered although REP MOVSB works: the engine runs a REP one element at a time, so
 * guests should prefer quadwords. The vendor is Intel and ARCH_CAPABILITIES says that an interpreted CPU has
 * none of the speculation defects, which spares guests page-table isolation and retpolines. The hypervisor
 * leaves are VMware's: with them and the backdoor port Linux takes the TSC frequency as given and calibrates
 * nothing. Follows the Intel SDM volume 2 (CPUID) and VMware's hypervisor interface as Linux uses it;
 * the leaves of the paravirtual page are our own (vmi.h). */
#include "cpu/cpuid.h"

#include <stddef.h>
#include <string.h>

#include "core/vcpu.h"
#include "cpu/cpu.h"
#include "cpu/vmi.h"
#include "dev/lapic.h"

struct feature {
    const char *name;
    uint8_t word, bit;
    uint8_t level; /* of x86-64: a model has the features up to its own */
};

enum { BASE = 1, V2 = 2, FULL = 3, EXTRA = 4 };

static const struct feature features[] = {
    {"fpu", CPUID_1_EDX, 0, BASE},         {"de", CPUID_1_EDX, 2, BASE},
    {"pse", CPUID_1_EDX, 3, BASE},         {"tsc", CPUID_1_EDX, 4, BASE},
    {"msr", CPUID_1_EDX, 5, BASE},         {"pae", CPUID_1_EDX, 6, BASE},
    {"cx8", CPUID_1_EDX, 8, BASE},         {"apic", CPUID_1_EDX, 9, BASE},
    {"sep", CPUID_1_EDX, 11, BASE},        {"mtrr", CPUID_1_EDX, 12, BASE},
    {"pge", CPUID_1_EDX, 13, BASE},        {"cmov", CPUID_1_EDX, 15, BASE},
    {"pat", CPUID_1_EDX, 16, BASE},        {"clflush", CPUID_1_EDX, 19, BASE},
    {"mmx", CPUID_1_EDX, 23, BASE},        {"fxsr", CPUID_1_EDX, 24, BASE},
    {"sse", CPUID_1_EDX, 25, BASE},        {"sse2", CPUID_1_EDX, 26, BASE},
    {"pni", CPUID_1_ECX, 0, V2},           {"pclmulqdq", CPUID_1_ECX, 1, FULL},
    {"ssse3", CPUID_1_ECX, 9, V2},         {"cx16", CPUID_1_ECX, 13, V2},
    {"sse4_1", CPUID_1_ECX, 19, V2},       {"sse4_2", CPUID_1_ECX, 20, V2},
    {"x2apic", CPUID_1_ECX, 21, BASE},     {"movbe", CPUID_1_ECX, 22, FULL},
    {"popcnt", CPUID_1_ECX, 23, V2},       {"tsc_deadline", CPUID_1_ECX, 24, BASE},
    {"aes", CPUID_1_ECX, 25, FULL},        {"xsave", CPUID_1_ECX, 26, FULL},
    {"hypervisor", CPUID_1_ECX, 31, BASE}, {"fsgsbase", CPUID_7_EBX, 0, FULL},
    {"tsc_adjust", CPUID_7_EBX, 1, BASE},  {"bmi1", CPUID_7_EBX, 3, FULL},
    {"smep", CPUID_7_EBX, 7, FULL},        {"bmi2", CPUID_7_EBX, 8, FULL},
    {"adx", CPUID_7_EBX, 19, FULL},        {"smap", CPUID_7_EBX, 20, EXTRA},
    {"spec_ctrl", CPUID_7_EDX, 26, BASE},  {"arch_capabilities", CPUID_7_EDX, 29, BASE},
    {"syscall", CPUID_EXT_EDX, 11, BASE},  {"nx", CPUID_EXT_EDX, 20, BASE},
    {"pdpe1gb", CPUID_EXT_EDX, 26, FULL},  {"rdtscp", CPUID_EXT_EDX, 27, BASE},
    {"lm", CPUID_EXT_EDX, 29, BASE},       {"lahf_lm", CPUID_EXT_ECX, 0, V2},
    {"abm", CPUID_EXT_ECX, 5, FULL},       {"3dnowprefetch", CPUID_EXT_ECX, 8, FULL},
};

static const struct {
    const char *name, *text;
    uint8_t level;
} models[] = {
    {"vmm64", "everything the engine executes fast (default)", FULL},
    {"x86-64-v1", "the x86-64 baseline: SSE2, no SSE3", BASE},
    {"x86-64-v2", "SSE4.2, POPCNT, CMPXCHG16B", V2},
    {"vmm64-smap", "vmm64 with supervisor access prevention, at the price of shorter blocks", EXTRA},
};

/* Where the engine keeps a word, among its own. */
static const uint8_t engine_word[CPUID_WORDS] = {0, 1, 2, 4, 6, 7};

#define VENDOR_EBX 0x756e6547u /* GenuineIntel, in the order EBX EDX ECX */
#define VENDOR_EDX 0x49656e69u
#define VENDOR_ECX 0x6c65746eu
#define SIGNATURE 0x000306c3u
#define MAX_LEAF 0x16u
#define HYPERVISOR_LEAF 0x40000000u
#define VMWARE_TIMING_LEAF 0x40000010u
#define MAX_EXTENDED 0x80000008u
#define XSAVE_AREA 576u /* legacy region and header: x87 and SSE only */

const char *cpuid_model_name(unsigned row)
{
    return row < sizeof(models) / sizeof(models[0]) ? models[row].name : NULL;
}

const char *cpuid_model_text(unsigned row)
{
    return row < sizeof(models) / sizeof(models[0]) ? models[row].text : NULL;
}

static uint32_t feature_word(const struct vcpu *v, enum cpuid_word word)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        if (features[i].word == word && features[i].level <= models[v->board->cfg.cpu_model].level)
            bits |= 1u << features[i].bit;
    return bits;
}

bool cpuid_has(const struct vcpu *v, enum cpuid_word word, unsigned bit)
{
    return v->cpuid[word] >> bit & 1;
}

void cpuid_apply(struct vcpu *v)
{
    for (unsigned w = 0; w < CPUID_WORDS; w++) {
        v->cpuid[w] = feature_word(v, (enum cpuid_word)w);
        v->guest->features[engine_word[w]] = v->cpuid[w];
    }
    /* The engine's decoder gates SSE instructions by these words; extended EDX repeats leaf 1's low bits for
     * it. */
    v->guest->features[6] |= v->cpuid[CPUID_1_EDX] & 0x0183f3ff;
}

uint64_t cpuid_cr4_bits(const struct vcpu *v)
{
    uint64_t bits = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR |
                    CR4_OSXMMEXCPT;
    bits |= cpuid_has(v, CPUID_1_ECX, 26) ? CR4_OSXSAVE : 0;
    bits |= cpuid_has(v, CPUID_7_EBX, 0) ? CR4_FSGSBASE : 0;
    bits |= cpuid_has(v, CPUID_7_EBX, 7) ? CR4_SMEP : 0;
    bits |= cpuid_has(v, CPUID_7_EBX, 20) ? CR4_SMAP : 0;
    return bits;
}

struct regs {
    uint32_t eax, ebx, ecx, edx;
};

static struct regs leaf1(struct vcpu *v)
{
    struct regs r = {SIGNATURE, v->id << 24 | 1u << 16 | 8u << 8, v->cpuid[CPUID_1_ECX],
                     v->cpuid[CPUID_1_EDX]};
    if (v->guest->cr[4] & CR4_OSXSAVE)
        r.ecx |= 1u << 27;
    if (!lapic_enabled(v->board->irq.lapic[v->id]))
        r.edx &= ~(1u << 9);
    return r;
}

/* Deterministic cache parameters: 32 KiB L1 data and code, 256 KiB L2, as 8-way sets of 64-byte lines. */
static struct regs leaf4(uint32_t index)
{
    static const struct { uint32_t eax, sets; } caches[] = {{0x121, 64}, {0x122, 64}, {0x143, 512}};
    if (index >= sizeof(caches) / sizeof(caches[0]))
        return (struct regs){0};
    return (struct regs){caches[index].eax, 7u << 22 | 63, caches[index].sets - 1, 0};
}

/* Subleaf 2 offers BHI_CTRL: Linux then sets a bit in SPEC_CTRL once, instead of clearing branch history at
 * every system call although ARCH_CAPABILITIES says there is no need. */
static struct regs leaf7(struct vcpu *v, uint32_t index)
{
    if (index == 0)
        return (struct regs){2, v->cpuid[CPUID_7_EBX], 0, v->cpuid[CPUID_7_EDX]};
    return index == 2 ? (struct regs){0, 0, 0, 1u << 4} : (struct regs){0};
}

static struct regs leaf_topology(struct vcpu *v, uint32_t index)
{
    /* Each vCPU is a package of one core with one thread. */
    if (index > 1)
        return (struct regs){0, 0, index, v->id};
    return (struct regs){0, 1, index | (index + 1) << 8, v->id};
}

static struct regs leaf_xsave(struct vcpu *v, uint32_t index)
{
    if (!cpuid_has(v, CPUID_1_ECX, 26))
        return (struct regs){0};
    if (index == 0)
        return (struct regs){3, XSAVE_AREA, XSAVE_AREA, 0};
    return index == 1 ? (struct regs){1, 0, 0, 0} : (struct regs){0}; /* XSAVEOPT */
}

static struct regs brand(unsigned n)
{
    static const char text[48] = "vmm virtual CPU @ 1.00GHz";
    struct regs r;
    memcpy(&r, text + n * 16, sizeof(r));
    return r;
}

static struct regs leaf(struct vcpu *v, uint32_t eax, uint32_t ecx)
{
    switch (eax) {
    case 0: return (struct regs){MAX_LEAF, VENDOR_EBX, VENDOR_ECX, VENDOR_EDX};
    case 1: return leaf1(v);
    case 2: return (struct regs){0x00feff01, 0, 0, 0}; /* see leaf 4 */
    case 4: return leaf4(ecx);
    case 6: return (struct regs){4, 0, 0, 0}; /* ARAT: the APIC timer never stops */
    case 7: return leaf7(v, ecx);
    case 0xb: return leaf_topology(v, ecx);
    case 0xd: return leaf_xsave(v, ecx);
    case 0x15: return (struct regs){1, (uint32_t)(TSC_HZ / 25000000), 25000000, 0};
    case 0x16: return (struct regs){(uint32_t)(TSC_HZ / 1000000), (uint32_t)(TSC_HZ / 1000000), 100, 0};
    case HYPERVISOR_LEAF:
        return (struct regs){VMWARE_TIMING_LEAF, 0x61774d56, 0x4d566572, 0x65726177}; /* VMwareVMware */
    case VMWARE_TIMING_LEAF: return (struct regs){(uint32_t)(TSC_HZ / 1000), 1000000, 0, 0};
    case VMI_LEAF: return (struct regs){VMI_LEAF + 1, 0x206d6d76, 0x61726170, 0x74726976}; /* vmm paravirt */
    case VMI_LEAF + 1: return (struct regs){VMI_MSR, VMI_ENTRIES, VMI_ENTRY_BYTES, 0};
    case 0x80000000: return (struct regs){MAX_EXTENDED, 0, 0, 0};
    case 0x80000001: return (struct regs){0, 0, v->cpuid[CPUID_EXT_ECX], v->cpuid[CPUID_EXT_EDX]};
    case 0x80000002 ... 0x80000004: return brand(eax - 0x80000002);
    case 0x80000006: return (struct regs){0, 0, 256u << 16 | 0x6040, 0};
    case 0x80000007: return (struct regs){0, 0, 0, 1u << 8}; /* invariant TSC */
    case 0x80000008: return (struct regs){40 | 48 << 8, 0, 0, 0};
    default: return (struct regs){0};
    }
}

/* A leaf past the last basic one reads as the last basic one, as Intel processors do. */
static uint32_t effective_leaf(uint32_t eax)
{
    if (eax >= 0x80000000u)
        return eax <= MAX_EXTENDED ? eax : MAX_LEAF;
    if (eax >= HYPERVISOR_LEAF)
        return eax <= VMWARE_TIMING_LEAF || eax == VMI_LEAF || eax == VMI_LEAF + 1 ? eax : MAX_LEAF;
    return eax <= MAX_LEAF ? eax : MAX_LEAF;
}

void cpu_cpuid(struct vcpu *v, uintptr_t ra)
{
    uint64_t *reg = v->guest->reg;
    struct regs r = leaf(v, effective_leaf((uint32_t)reg[RAX]), (uint32_t)reg[RCX]);
    (void)ra;
    v->stats.trap[SBE_CLASS_CPUID]++;
    reg[RAX] = r.eax;
    reg[RBX] = r.ebx;
    reg[RCX] = r.ecx;
    reg[RDX] = r.edx;
}
