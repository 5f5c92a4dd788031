/* The functions behind operations.h. A call of NAME_x86_64 goes through the linker's --wrap to
 * csrc/engine/softfloat.c; __real_NAME_x86_64 is the engine's own. The instruction and both changes of MXCSR
 * are one piece of assembly, so that the compiler moves nothing in between. */
#include "operations.h"

#define HOST_MXCSR 0x1f80u

typedef uint32_t float32;
typedef uint64_t float64;
typedef int32_t int32;
typedef int64_t int64;
typedef int truth;

union sse {
    uint64_t bits;
    double value;
};

#define PROCESSOR(name, r_type, instruction)                                                             \
    static uint64_t processor_##name(uint64_t first, uint64_t second, uint32_t *mxcsr)                   \
    {                                                                                                    \
        const uint32_t host = HOST_MXCSR;                                                                \
        union sse a = {first}, b = {second};                                                             \
        uint64_t g = 0;                                                                                  \
        __asm__ volatile("ldmxcsr %[csr]\n\t" instruction "\n\tstmxcsr %[csr]\n\tldmxcsr %[host]"        \
                         : [a] "+x"(a.value), [g] "+r"(g), [csr] "+m"(*mxcsr)                            \
                         : [b] "x"(b.value), [i] "r"(first), [host] "m"(host));                          \
        switch (FORMAT_##r_type) {                                                                       \
        case FORMAT_truth: return a.bits & 1;                                                            \
        case FORMAT_int32:                                                                               \
        case FORMAT_int64: return (r_type)g;                                                             \
        default: return (r_type)a.bits;                                                                  \
        }                                                                                                \
    }

#define BINARY(name, r_type, type, instruction)                                                          \
    r_type name##_x86_64(type a, type b, struct float_status *s);                                        \
    r_type __real_##name##_x86_64(type a, type b, struct float_status *s);                               \
    static uint64_t wrapped_##name(uint64_t a, uint64_t b, struct float_status *s)                       \
    {                                                                                                    \
        return name##_x86_64(a, b, s);                                                                   \
    }                                                                                                    \
    static uint64_t original_##name(uint64_t a, uint64_t b, struct float_status *s)                      \
    {                                                                                                    \
        return __real_##name##_x86_64(a, b, s);                                                          \
    }                                                                                                    \
    PROCESSOR(name, r_type, instruction)

#define UNARY(name, r_type, type, instruction)                                                           \
    r_type name##_x86_64(type a, struct float_status *s);                                                \
    r_type __real_##name##_x86_64(type a, struct float_status *s);                                       \
    static uint64_t wrapped_##name(uint64_t a, uint64_t b, struct float_status *s)                       \
    {                                                                                                    \
        (void)b;                                                                                         \
        return name##_x86_64(a, s);                                                                      \
    }                                                                                                    \
    static uint64_t original_##name(uint64_t a, uint64_t b, struct float_status *s)                      \
    {                                                                                                    \
        (void)b;                                                                                         \
        return __real_##name##_x86_64(a, s);                                                             \
    }                                                                                                    \
    PROCESSOR(name, r_type, instruction)

#include "operations.def"
#undef BINARY
#undef UNARY

#define ROW(name, r_type, type, count)                                                                   \
    {#name, count, FORMAT_##type, FORMAT_##r_type, wrapped_##name, original_##name, processor_##name},
#define BINARY(name, r_type, type, instruction) ROW(name, r_type, type, 2)
#define UNARY(name, r_type, type, instruction) ROW(name, r_type, type, 1)
const struct operation operations[] = {
#include "operations.def"
};
const unsigned operation_count = sizeof(operations) / sizeof(operations[0]);
