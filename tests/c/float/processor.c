/* The functions behind processor.h. Freestanding: the host and a guest run the same. */
#include "processor.h"

/* One piece of assembly, so that the compiler moves nothing in between. Where it faults, d stays. */
#define PROCESSOR(name, instruction)                                                                     \
    static void processor_##name(union reg *d, const union reg *s)                                       \
    {                                                                                                    \
        __m128i result = d->whole;                                                                       \
        __asm__ volatile(instruction                                                                     \
                         : [d] "+x"(result)                                                              \
                         : [s] "x"(s->whole), [low] "m"(s->doubles[0])                                   \
                         : "mm0", "xmm15", "memory");                                                    \
        d->whole = result;                                                                               \
    }
/* The half that MMX has not got stays. */
#define TO_MMX(instruction)                                                                              \
    instruction " %[s], %%mm0\n\tmovq2dq %%mm0, %%xmm15\n\tmovsd %%xmm15, %[d]\n\temms"

#define REGISTERS(name, format, instruction) PROCESSOR(name, instruction)
#define CONTROLLED(name, format, control) PROCESSOR(name##_##control, #name " $" #control ", %[s], %[d]")
#define COMPARED(name, format, instruction)                                                              \
    static void processor_##name(union reg *d, const union reg *s)                                       \
    {                                                                                                    \
        uint64_t flags;                                                                                  \
        __asm__ volatile(instruction "\n\tpushfq\n\tpopq %[g]"                                           \
                         : [g] "=r"(flags)                                                               \
                         : [d] "x"(d->whole), [s] "x"(s->whole)                                          \
                         : "cc", "memory");                                                              \
        d->doubles[0] = flags & 0x8d5;                                                                   \
    }
#define FROM_GENERAL(name, format, type, instruction)                                                    \
    static void processor_##name(union reg *d, const union reg *s)                                       \
    {                                                                                                    \
        __m128i result = d->whole;                                                                       \
        __asm__ volatile(instruction : [d] "+x"(result) : [g] "r"(s->doubles[0]) : "memory");            \
        d->whole = result;                                                                               \
    }
#define TO_GENERAL(name, format, type, instruction)                                                      \
    static void processor_##name(union reg *d, const union reg *s)                                       \
    {                                                                                                    \
        uint64_t value;                                                                                  \
        __asm__ volatile(instruction : [g] "=r"(value) : [s] "x"(s->whole) : "memory");                  \
        d->doubles[0] = (uint64_t)(type)value;                                                           \
    }
#include "operations.def"
#undef REGISTERS
#undef CONTROLLED
#undef COMPARED
#undef FROM_GENERAL
#undef TO_GENERAL

#define ROW(name, format) {#name, FORMAT_##format, processor_##name},
#define REGISTERS(name, format, instruction) ROW(name, format)
#define COMPARED(name, format, instruction) ROW(name, format)
#define FROM_GENERAL(name, format, type, instruction) ROW(name, format)
#define TO_GENERAL(name, format, type, instruction) ROW(name, format)
#define CONTROLLED(name, format, control) ROW(name##_##control, format)
const struct instruction instructions[] = {
#include "operations.def"
};
const unsigned instruction_count = sizeof(instructions) / sizeof(instructions[0]);
