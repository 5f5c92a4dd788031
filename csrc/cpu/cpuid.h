/* The processor the guest is shown. See cpuid.c. */
#ifndef VMK_CPU_CPUID_H
#define VMK_CPU_CPUID_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* CR4 bits the model has: all others are reserved. */
uint64_t cpuid_cr4_bits(const struct vcpu *v);

enum cpuid_word {
    CPUID_1_EDX,
    CPUID_1_ECX,
    CPUID_7_EBX,
    CPUID_7_EDX,
    CPUID_EXT_EDX,
    CPUID_EXT_ECX,
    CPUID_WORDS
};

/* Is bit `bit` of a feature word shown? */
bool cpuid_has(const struct vcpu *v, enum cpuid_word word, unsigned bit);

/* Tell the engine's decoder which instructions exist. */
void cpuid_apply(struct vcpu *v);

/* Models by row, for vmk_config.cpu_model and the command line; NULL past the last. */
const char *cpuid_model_name(unsigned row);
const char *cpuid_model_text(unsigned row);

#endif
