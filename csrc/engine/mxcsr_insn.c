/* Instructions that read and write MXCSR as a register: LDMXCSR, STMXCSR, FXSAVE, FXRSTOR, XSAVE, XRSTOR
 * (Intel SDM volume 2); and x87 instructions that need the host's own.
 *
 * Nothing that runs within the engine computes in the host's floating point but what replaces the guest's SSE
 * instructions, and the x87 instructions that the engine has from the C library: those must not see the
 * guest's rounding, nor the guest their flags. */
#include <stddef.h>

#include "core/vcpu.h"
#include "engine/engine.h"
#include "engine/private.h"
#include "engine/sse.h"
#include "engine/sse_emit.h"

#define HOST_DEFAULT 0x1f80u

/* LDMXCSR. Loading a flag that is not masked raises nothing. */
static void set(struct guest *g, uint32_t value, uintptr_t ra)
{
    if (value & ~MXCSR_VALID)
        engine_raise(UC_OWNER(g->uc), EXC_GP, 0, ra);
    g->mxcsr = value;
    sse_load(g);
}

SSE_HELPER_WRITING(void, ldmxcsr, struct guest *g, uint32_t value)
{
    set(g, value, CALLER);
}

/* The image's MXCSR field, for FXRSTOR and XRSTOR: the engine would take any value, and tells nobody. Tail
 * calls, as the engine's bodies find the faulting instruction by their own return address. */
enum { IMAGE_MXCSR = 24, XSTATE_SSE = 2 };

static void set_from_image(struct guest *g, uint64_t image, uintptr_t ra)
{
    struct vcpu *v = UC_OWNER(g->uc);
    set(g, (uint32_t)engine_load(v, image + IMAGE_MXCSR, 4, ra), ra);
}

void __real_helper_fxrstor_x86_64(struct guest *g, uint64_t image);
SSE_HELPER_WRITING(void, fxrstor, struct guest *g, uint64_t image)
{
    if (!(image & 15) && g->cr[4] & CR4_OSFXSR)
        set_from_image(g, image, CALLER);
    __real_helper_fxrstor_x86_64(g, image);
}

void __real_helper_xrstor_x86_64(struct guest *g, uint64_t image, uint64_t which);
SSE_HELPER_WRITING(void, xrstor, struct guest *g, uint64_t image, uint64_t which)
{
    if (!(image & 63) && g->cr[4] & CR4_OSXSAVE && which & g->xcr0 & XSTATE_SSE)
        set_from_image(g, image, CALLER);
    __real_helper_xrstor_x86_64(g, image, which);
}

void __real_helper_fxsave_x86_64(struct guest *g, uint64_t image);
SSE_HELPER_WRITING(void, fxsave, struct guest *g, uint64_t image)
{
    sse_collect(g);
    __real_helper_fxsave_x86_64(g, image);
}

#define XSAVE(name)                                                                                      \
    void __real_helper_##name##_x86_64(struct guest *g, uint64_t image, uint64_t which);                 \
    SSE_HELPER_WRITING(void, name, struct guest *g, uint64_t image, uint64_t which)                      \
    {                                                                                                    \
        sse_collect(g);                                                                                  \
        __real_helper_##name##_x86_64(g, image, which);                                                  \
    }
XSAVE(xsave)
XSAVE(xsaveopt)

/* Called under the names of instructions that no guest has (STGI, CLGI): before STMXCSR reads `mxcsr`, and
 * behind the engine's FXRSTOR and XRSTOR, which take FTZ for the x87's. */
SSE_HELPER_WRITING(void, stgi, struct guest *g)
{
    sse_collect(g);
}

SSE_HELPER_WRITING(void, clgi, struct guest *g)
{
    g->x87_flush_results = 0;
}

static void call(void *ctx, void (*helper)(struct guest *))
{
    void *args[1] = {(char *)ctx + (uintptr_t)TCG_ENV(ctx)};
    __real_tcg_gen_callN_x86_64(ctx, (void *)helper, NULL, 1, args);
}

/* STMXCSR is the only instruction for which the translator emits a load of this field. */
void __real_tcg_gen_op3_x86_64(void *ctx, int op, uint64_t a, uint64_t b, uint64_t c);
void __wrap_tcg_gen_op3_x86_64(void *ctx, int op, uint64_t a, uint64_t b, uint64_t c);
void __wrap_tcg_gen_op3_x86_64(void *ctx, int op, uint64_t a, uint64_t b, uint64_t c)
{
    if (op == TCG_LD32U_I64 && c == offsetof(struct guest, mxcsr))
        call(ctx, __wrap_helper_stgi_x86_64);
    __real_tcg_gen_op3_x86_64(ctx, op, a, b, c);
}

/* Section 8.1 of QEMU's tcg/README: a call that changes no global leaves them in the host's registers. */
extern const char __start_sse_helpers[], __stop_sse_helpers[];

void sse_emitted(void *ctx, const void *func, unsigned values)
{
    void *last = TCG_OPS(ctx)->prev->prev->next;
    if (func == (void *)__wrap_helper_fxrstor_x86_64 || func == (void *)__wrap_helper_xrstor_x86_64)
        call(ctx, __wrap_helper_clgi_x86_64);
    else if ((const char *)func >= __start_sse_helpers && (const char *)func < __stop_sse_helpers &&
             TCG_OP_ARG(last, values) == (uintptr_t)func)
        TCG_OP_ARG(last, values + 1) |= TCG_CALL_NO_WRITE_GLOBALS;
}

/* x87 instructions from the C library. */
#define FROM_LIBRARY(name)                                                                               \
    void __real_helper_##name##_x86_64(struct guest *g);                                                 \
    SSE_HELPER_WRITING(void, name, struct guest *g)                                                      \
    {                                                                                                    \
        uint32_t mode = _mm_getcsr();                                                                    \
        _mm_setcsr(HOST_DEFAULT);                                                                        \
        __real_helper_##name##_x86_64(g);                                                                \
        _mm_setcsr(mode);                                                                                \
    }
FROM_LIBRARY(f2xm1)
FROM_LIBRARY(fyl2x)
FROM_LIBRARY(fyl2xp1)
FROM_LIBRARY(fptan)
FROM_LIBRARY(fpatan)
FROM_LIBRARY(fprem)
FROM_LIBRARY(fprem1)
FROM_LIBRARY(fsin)
FROM_LIBRARY(fcos)
FROM_LIBRARY(fsincos)
