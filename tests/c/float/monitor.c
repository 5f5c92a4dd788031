/* The functions behind monitor.h. */
#include "monitor.h"

#define MONITOR(name) __wrap_helper_##name##_x86_64
#define CALL(name)                                                                                       \
    static void monitor_##name(struct guest *g, union reg *d, const union reg *s)

#define REGISTERS(name, format, instruction)                                                             \
    void MONITOR(name)(struct guest * g, void *d, const void *s);                                        \
    CALL(name)                                                                                           \
    {                                                                                                    \
        MONITOR(name)(g, d, s);                                                                          \
    }
#define CONTROLLED(name, format, control)                                                                \
    void MONITOR(name##_xmm)(struct guest * g, void *d, const void *s, uint32_t how);                    \
    CALL(name##_##control)                                                                               \
    {                                                                                                    \
        MONITOR(name##_xmm)(g, d, s, control);                                                           \
    }
#define COMPARED(name, format, instruction)                                                              \
    void MONITOR(name)(struct guest * g, const void *d, const void *s);                                  \
    CALL(name)                                                                                           \
    {                                                                                                    \
        g->cc_src = d->doubles[0];                                                                       \
        MONITOR(name)(g, d, s);                                                                          \
        d->doubles[0] = g->cc_src;                                                                       \
    }
#define FROM_GENERAL(name, format, type, instruction)                                                    \
    void MONITOR(name)(struct guest * g, void *d, type value);                                           \
    CALL(name)                                                                                           \
    {                                                                                                    \
        MONITOR(name)(g, d, (type)s->doubles[0]);                                                        \
    }
#define TO_GENERAL(name, format, type, instruction)                                                      \
    type MONITOR(name)(struct guest * g, const void *s);                                                 \
    CALL(name)                                                                                           \
    {                                                                                                    \
        d->doubles[0] = (uint64_t)MONITOR(name)(g, s);                                                   \
    }
#include "operations.def"
#undef REGISTERS
#undef CONTROLLED
#undef COMPARED
#undef FROM_GENERAL
#undef TO_GENERAL

#define REGISTERS(name, format, instruction) monitor_##name,
#define COMPARED(name, format, instruction) monitor_##name,
#define FROM_GENERAL(name, format, type, instruction) monitor_##name,
#define TO_GENERAL(name, format, type, instruction) monitor_##name,
#define CONTROLLED(name, format, control) monitor_##name##_##control,
monitor_fn *const monitor[] = {
#include "operations.def"
};
