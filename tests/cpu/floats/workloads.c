/* See workloads.h. */
#include "workloads.h"

#include <emmintrin.h>

enum { SIDE = 64 }; /* of the matrices */

static uint64_t fold(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x100000001b3ull;
}

static uint64_t bits_of(__m128d x)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_castpd_si128(x));
}

static uint64_t bits_of_single(__m128 x)
{
    return (uint32_t)_mm_cvtsi128_si32(_mm_castps_si128(x));
}

static uint64_t scalar(unsigned rounds)
{
    volatile double multiplier = 0.999999971, addend = 1.25e-7;
    double d = 1.5, e = multiplier, c = addend;
    while (rounds--)
        d = d * e + c;
    return bits_of(_mm_set_sd(d));
}

static uint64_t matrix(unsigned rounds)
{
    static double a[SIDE][SIDE], b[SIDE][SIDE];
    static __m128d c[SIDE][SIDE / 2];
    uint64_t sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = 1.0 / (1 + (i * SIDE + j) % 97);
            b[i][j] = (i * SIDE + j) % 89 - 44.3;
        }
    while (rounds--) {
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE / 2; j++) {
                __m128d cell = _mm_setzero_pd();
                for (int k = 0; k < SIDE; k++)
                    cell = _mm_add_pd(cell, _mm_mul_pd(_mm_set1_pd(a[i][k]), _mm_loadu_pd(&b[k][2 * j])));
                c[i][j] = cell;
            }
        sum = fold(fold(sum, bits_of(c[SIDE - 1][3])), bits_of(_mm_unpackhi_pd(c[7][0], c[7][0])));
        a[0][0] += 0.125;
    }
    return sum;
}

static uint64_t roots(unsigned rounds)
{
    uint64_t sum = 0;
    double d = 2.0;
    for (unsigned i = 1; i <= rounds; i++) {
        d = _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(d + i))) / (1.0 + i % 13);
        sum += (uint64_t)(int64_t)(d * 65536.0);
    }
    return fold(sum, bits_of(_mm_set_sd(d)));
}

static uint64_t singles(unsigned rounds)
{
    volatile float multiplier = 0.99995f, addend = 1.25e-3f;
    float f = 1.5f, e = multiplier, c = addend;
    while (rounds--)
        f = f * e + c;
    return bits_of_single(_mm_set_ss(f));
}

/* Where each instruction has other random numbers. */
static uint64_t trial(const struct instruction *tried, unsigned rounds)
{
    struct random r = {0x9e3779b97f4a7c15ull + (uint64_t)(tried - instructions)};
    uint64_t sum = 0;
    while (rounds--) {
        struct attempt a = {.instruction = tried, .mxcsr = mxcsr_next(&r)};
        operands_fill(&r, tried->format, &a.d, &a.s);
        attempt(&a);
        sum = fold(fold(sum, a.d.doubles[0]), a.d.doubles[1]);
        sum = fold(fold(sum, a.mxcsr), a.raised);
    }
    return sum;
}

void attempt_under_mxcsr(void *argument)
{
    struct attempt *a = argument;
    _mm_setcsr(a->mxcsr);
    a->instruction->run(&a->d, &a->s);
    a->mxcsr = _mm_getcsr();
    _mm_setcsr(MXCSR_DEFAULT);
}

/* Processors have their own approximations. */
static bool is_exact(const struct instruction *i)
{
    return !(i->name[0] == 'r' && (i->name[1] == 'c' || i->name[1] == 's'));
}

void try_instructions(unsigned rounds, void (*tell)(const char *name, uint64_t result))
{
    for (unsigned i = 0; i < instruction_count; i++)
        if (is_exact(&instructions[i]))
            tell(instructions[i].name, trial(&instructions[i], rounds));
}

const struct workload workloads[] = {
    {"scalar", "scalar=", scalar, 100000},
    {"matrix", "matrix=", matrix, 3},
    {"roots", "roots=", roots, 100000},
    {"singles", "singles=", singles, 100000},
};
const unsigned workload_count = sizeof(workloads) / sizeof(workloads[0]);
