/* Model-specific registers by number, and control registers by name. */
#pragma once
#include <stdint.h>

enum msr {
    MSR_TSC = 0x10, MSR_APIC_BASE = 0x1b, MSR_PAT = 0x277,
    MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
    MSR_EFER = 0xc0000080, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK,
    MSR_FS_BASE = 0xc0000100, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_TSC_AUX
};
enum { EFER_SCE = 1, EFER_LME = 0x100, EFER_LMA = 0x400, EFER_NXE = 0x800 };
enum { CR0_PE = 1, CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_ET = 0x10, CR0_NE = 0x20 };
enum { CR0_WP = 0x10000, CR0_AM = 0x40000 };
enum { CR4_TSD = 4, CR4_DE = 8, CR4_PSE = 0x10, CR4_PAE = 0x20, CR4_PGE = 0x80, CR4_PCE = 0x100 };
enum { CR4_UMIP = 0x800 };

static inline uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;

    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
    asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define DEFINE_CONTROL_REGISTER(name) \
    static inline uint64_t read_##name(void) \
    { \
        uint64_t value; \
        asm volatile("movq %%" #name ", %0" : "=r"(value)); \
        return value; \
    } \
    static inline void write_##name(uint64_t value) \
    { \
        asm volatile("movq %0, %%" #name : : "r"(value) : "memory"); \
    }

DEFINE_CONTROL_REGISTER(cr0)
DEFINE_CONTROL_REGISTER(cr2)
DEFINE_CONTROL_REGISTER(cr3)
DEFINE_CONTROL_REGISTER(cr4)
DEFINE_CONTROL_REGISTER(cr8)
DEFINE_CONTROL_REGISTER(dr0)
DEFINE_CONTROL_REGISTER(dr1)
DEFINE_CONTROL_REGISTER(dr2)
DEFINE_CONTROL_REGISTER(dr3)
DEFINE_CONTROL_REGISTER(dr6)
DEFINE_CONTROL_REGISTER(dr7)
