/* Compares csrc/engine/sse.c, sse_composite.c and mxcsr.c with the processor this runs on.
 *
 *      fuzz_float SETS [SEED [OPERATION]]      SETS random operands and values of MXCSR per operation
 *
 * Destination, MXCSR with its flags, and whether an exception was raised must be the same, in every rounding
 * mode, with and without DAZ and FTZ, with exceptions masked and not. The approximations, which are the
 * processor's own, need only be as near as documented (Intel SDM volume 2, RCPPS). Exit code 1 and a line per
 * difference (a few of each operation) if there was any. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "monitor.h"
#include "operands.h"

#define SHOWN 3

struct outcome {
    union reg d;
    uint32_t mxcsr;
    int vector; /* 0: none */
};

static sigjmp_buf raised;
static struct outcome *under_way;

/* The engine's part of raising an exception. */
struct vcpu;
void engine_raise(struct vcpu *v, int vector, int error, uintptr_t ra);
void engine_raise(struct vcpu *v, int vector, int error, uintptr_t ra)
{
    under_way->vector = error || !ra || v ? -1 : vector;
    siglongjmp(raised, 1);
}

/* And the processor's. */
static void on_sigfpe(int signal, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    (void)info;
    under_way->vector = signal == SIGFPE ? EXC_XF : -1;
    under_way->mxcsr = interrupted->uc_mcontext.fpregs->mxcsr;
    siglongjmp(raised, 1);
}

static struct outcome by_monitor(const struct instruction *op, union reg d, const union reg *s,
                                 uint32_t mxcsr)
{
    static void *engine[2048 / sizeof(void *)]; /* whose owner is NULL */
    static struct guest g;
    static struct outcome o;
    o = (struct outcome){d, mxcsr, 0};
    under_way = &o;
    g.uc = engine;
    g.mxcsr = mxcsr;
    g.cr[4] = CR4_OSXMMEXCPT;
    uint32_t own = sse_enter(&g);
    if (!sigsetjmp(raised, 0))
        monitor[op - instructions](&g, &o.d, s);
    sse_leave(&g, own);
    o.mxcsr = g.mxcsr;
    return o;
}

static struct outcome by_processor(const struct instruction *op, union reg d, const union reg *s,
                                   uint32_t mxcsr)
{
    static struct outcome o;
    uint32_t own = _mm_getcsr();
    o = (struct outcome){d, mxcsr, 0};
    under_way = &o;
    if (!sigsetjmp(raised, 1)) {
        _mm_setcsr(mxcsr);
        op->run(&o.d, s);
        o.mxcsr = _mm_getcsr();
    }
    _mm_setcsr(own);
    return o;
}

static void print_outcome(const char *who, const struct outcome *o)
{
    printf("  %s: %016" PRIx64 "'%016" PRIx64 " mxcsr %04x vector %d\n", who, o->d.doubles[1],
           o->d.doubles[0], o->mxcsr, o->vector);
}

static bool try_set(const struct instruction *op, struct random *r, bool show)
{
    union reg d, s;
    uint32_t mxcsr = mxcsr_next(r);
    operands_fill(r, op->format, &d, &s);
    struct outcome ours = by_monitor(op, d, &s, mxcsr), theirs = by_processor(op, d, &s, mxcsr);
    bool same = !memcmp(&ours.d, &theirs.d, sizeof(ours.d)) && ours.mxcsr == theirs.mxcsr &&
                ours.vector == theirs.vector;
    if (!same && show) {
        printf("%s: d %016" PRIx64 "'%016" PRIx64 " s %016" PRIx64 "'%016" PRIx64 " mxcsr %04x\n", op->name,
               d.doubles[1], d.doubles[0], s.doubles[1], s.doubles[0], mxcsr);
        print_outcome("monitor", &ours);
        print_outcome("processor", &theirs);
    }
    return same;
}

static bool is_number(float x)
{
    return isfinite(x) && x != 0;
}

/* Zero, or within the error of the smallest normal number. */
static bool is_smallest(uint32_t x)
{
    uint32_t magnitude = x & INT32_MAX;
    return !magnitude || magnitude - 0x00800000u <= 0x1000;
}

/* 1.5 times 2 to the -12 for each of the two; and processors differ in where a reciprocal becomes zero. */
static bool near(uint32_t a, uint32_t b)
{
    float x, y;
    memcpy(&x, &a, sizeof(x));
    memcpy(&y, &b, sizeof(y));
    return a == b || (is_smallest(a) && is_smallest(b) && !((a ^ b) >> 31)) ||
           (is_number(x) && is_number(y) && fabsf(x - y) <= fabsf(y) * 3 / 4096);
}

static bool try_approximation(const struct instruction *op, struct random *r, bool show)
{
    union reg d, s;
    uint32_t mxcsr = mxcsr_next(r);
    operands_fill(r, op->format, &d, &s);
    struct outcome ours = by_monitor(op, d, &s, mxcsr), theirs = by_processor(op, d, &s, mxcsr);
    bool same = ours.mxcsr == theirs.mxcsr && ours.vector == theirs.vector;
    for (unsigned i = 0; i < 4; i++)
        same &= near(ours.d.singles[i], theirs.d.singles[i]);
    if (!same && show) {
        printf("%s: s %016" PRIx64 "'%016" PRIx64 " mxcsr %04x\n", op->name, s.doubles[1], s.doubles[0],
               mxcsr);
        print_outcome("monitor", &ours);
        print_outcome("processor", &theirs);
    }
    return same;
}

int main(int argc, char **argv)
{
    uint64_t sets = argc > 1 ? strtoull(argv[1], NULL, 0) : 0, differences = 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    struct sigaction action = {.sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (!sets || !seed) {
        fprintf(stderr, "usage: fuzz_float SETS [SEED [OPERATION]], no number 0\n");
        return 2;
    }
    if (!__builtin_cpu_supports("sse4.1")) {
        fprintf(stderr, "fuzz_float: this processor has no SSE4.1 to compare with\n");
        return 2;
    }
    sigaction(SIGFPE, &action, NULL);
    for (unsigned i = 0; i < instruction_count; i++) {
        const struct instruction *op = &instructions[i];
        bool approximate = !strncmp(op->name, "rcp", 3) || !strncmp(op->name, "rsqrt", 5);
        struct random r = {seed * 0x9e3779b97f4a7c15ull + i + 1};
        uint64_t wrong = 0;
        if (argc > 3 && strcmp(argv[3], op->name))
            continue;
        for (uint64_t n = 0; n < sets; n++)
            wrong += !(approximate ? try_approximation : try_set)(op, &r, wrong < SHOWN);
        printf("%s: %" PRIu64 " sets, %" PRIu64 " differences\n", op->name, sets, wrong);
        differences += wrong;
    }
    return differences != 0;
}
