/* See workloads.h. Leaves out what the engine does otherwise than a processor: MXCSR's flags, which it does
 * not show to its guests; FTZ, which it lacks; which of two NaNs is the result, where it follows the x87;
 * MINSD and MAXSD of denormals under DAZ, which it does not make zero. And RCPPS and RSQRTPS, where
 * processors differ. */
#include "workloads.h"

#include <smmintrin.h>
#include <stdbool.h>

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

/* Where formats end, rounding ties lie, and conversions stop being exact. Volatile, so that the compiler
 * computes none of it itself, nor moves it to where another rounding mode is set. */
static const volatile uint64_t edges[] = {
    0,                     /* zero */
    0x0000000000000001ull, /* denormals, and the smallest normal number */
    0x000fffffffffffffull, 0x0010000000000000ull, 0x0010000000000001ull, 0x0020000000000000ull,
    0x1ff0000000000000ull, 0x2000000000000001ull, /* products underflow */
    0x369fffffffffffffull, 0x3690000000000000ull, /* float32's own */
    0x380fffffffffffffull, 0x3810000000000000ull, 0x3fd5555555555555ull, 0x3fe0000000000000ull,
    0x3fefffffffffffffull, 0x3ff0000000000000ull, 0x3ff0000000000001ull, 0x3ff0000010000000ull,
    0x3ff8000000000000ull, 0x4004000000000000ull, 0x4160000010000000ull, 0x41dfffffffc00000ull,
    0x41dfffffffe00000ull, 0x41e0000000000000ull, 0x4330000000000001ull, 0x4340000000000001ull,
    0x43e0000000000000ull, 0x47efffffe0000000ull, 0x47effffff0000000ull, /* float32 ends */
    0x5ff0000000000000ull, 0x7fe0000000000000ull, 0x7fefffffffffffffull, /* sums and products overflow */
    0x7ff0000000000000ull, 0x7ff8000000000123ull, 0x7ff0000000000456ull, /* infinity, NaN, signalling NaN */
};
enum { EDGES = sizeof(edges) / sizeof(edges[0]) };

static __m128d edge(unsigned i)
{
    return _mm_castsi128_pd(_mm_cvtsi64_si128((long long)(edges[i / 2] | (uint64_t)i << 63)));
}

static bool is_nan(unsigned i)
{
    return (edges[i / 2] & 0x7fffffffffffffffull) > 0x7ff0000000000000ull;
}

static uint64_t edge_pair(uint64_t sum, __m128d a, __m128d b)
{
    __m128 x = _mm_cvtsd_ss(_mm_setzero_ps(), a), y = _mm_cvtsd_ss(_mm_setzero_ps(), b);
    __m128d pair = _mm_shuffle_pd(a, b, 0), riap = _mm_shuffle_pd(b, a, 0);
    sum = fold(fold(sum, bits_of(_mm_add_sd(a, b))), bits_of(_mm_sub_sd(a, b)));
    sum = fold(fold(sum, bits_of(_mm_mul_sd(a, b))), bits_of(_mm_div_sd(a, b)));
    sum = fold(fold(sum, bits_of(_mm_cmplt_sd(a, b))), bits_of(_mm_cmpneq_sd(a, b)));
    sum = fold(sum, bits_of(_mm_div_pd(pair, riap)) ^ bits_of(_mm_mul_pd(riap, pair)));
    sum = fold(fold(sum, bits_of_single(_mm_add_ss(x, y))), bits_of_single(_mm_sub_ss(x, y)));
    sum = fold(fold(sum, bits_of_single(_mm_mul_ss(x, y))), bits_of_single(_mm_div_ss(x, y)));
    sum = fold(fold(sum, bits_of_single(_mm_cmple_ss(x, y))), bits_of_single(_mm_cmpeq_ps(x, y)));
    return fold(sum, (uint64_t)(_mm_comilt_sd(a, b) | _mm_ucomige_ss(x, y) << 1));
}

static uint64_t edge_least(uint64_t sum, __m128d a, __m128d b)
{
    __m128 x = _mm_cvtsd_ss(_mm_setzero_ps(), a), y = _mm_cvtsd_ss(_mm_setzero_ps(), b);
    sum = fold(fold(sum, bits_of(_mm_min_sd(a, b))), bits_of(_mm_max_sd(a, b)));
    return fold(fold(sum, bits_of_single(_mm_min_ps(x, y))), bits_of_single(_mm_max_ss(x, y)));
}

__attribute__((target("sse4.1"))) static uint64_t edge_alone(uint64_t sum, __m128d a)
{
    __m128 x = _mm_cvtsd_ss(_mm_setzero_ps(), a);
    sum = fold(fold(sum, bits_of(_mm_sqrt_sd(a, a))), bits_of_single(_mm_sqrt_ss(x)));
    sum = fold(fold(sum, (uint32_t)_mm_cvtsd_si32(a)), (uint64_t)_mm_cvtsd_si64(a));
    sum = fold(fold(sum, (uint32_t)_mm_cvttsd_si32(a)), (uint64_t)_mm_cvttsd_si64(a));
    sum = fold(fold(sum, (uint64_t)_mm_cvtss_si64(x)), (uint32_t)_mm_cvttss_si32(x));
    sum = fold(fold(sum, bits_of(_mm_floor_sd(a, a))), bits_of_single(_mm_ceil_ss(x, x)));
    sum = fold(sum, bits_of(_mm_round_sd(a, a, _MM_FROUND_CUR_DIRECTION)));
    sum = fold(sum, bits_of(_mm_cvtsi64_sd(a, (long long)bits_of(a))));
    return fold(sum, bits_of_single(_mm_cvtsi64_ss(x, (long long)bits_of(a))));
}

static uint64_t edges_in_mode(uint64_t sum, bool daz)
{
    for (unsigned i = 0; i < 2 * EDGES; i++) {
        sum = edge_alone(sum, edge(i));
        for (unsigned j = 0; j < 2 * EDGES; j++) {
            if (is_nan(i) && is_nan(j))
                continue;
            sum = edge_pair(sum, edge(i), edge(j));
            if (!daz)
                sum = edge_least(sum, edge(i), edge(j));
        }
    }
    return sum;
}

/* Every edge with every other, in each rounding mode, with and without DAZ. */
static uint64_t at_edges(unsigned rounds)
{
    uint64_t sum = 0;
    for (unsigned mode = 0; mode < 8 * rounds; mode++) {
        bool daz = mode & 4;
        _mm_setcsr(0x1f80 | (mode & 3) << 13 | daz << 6);
        sum = edges_in_mode(sum, daz);
    }
    _mm_setcsr(0x1f80);
    return sum;
}

const struct workload workloads[] = {
    {"edges", "edges=", at_edges, 1},
    {"scalar", "scalar=", scalar, 100000},
    {"matrix", "matrix=", matrix, 3},
    {"roots", "roots=", roots, 100000},
    {"singles", "singles=", singles, 100000},
};
const unsigned workload_count = sizeof(workloads) / sizeof(workloads[0]);
