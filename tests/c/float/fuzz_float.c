/* Compares csrc/engine/softfloat.c with the functions it stands in for, and with the processor this runs on.
 *
 *      fuzz_float SETS [SEED]      SETS random operands and states of the environment per operation
 *
 * Engine: the value and all of struct float_status must be the same. Processor: the value and the flags that
 * softfloat has (it knows none for denormal operands), under the same rounding and DAZ, wherever the engine
 * means to be an x86: see has_counterpart(). Exit code 1 and a line per difference (a few of each operation)
 * if there was any. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operands.h"

#define SHOWN 3
#define FLAGS (FLOAT_INVALID | FLOAT_DIVIDE_BY_ZERO | FLOAT_OVERFLOW | FLOAT_UNDERFLOW | FLOAT_INEXACT)
#define MXCSR_ALL_MASKED 0x1f80u
#define MXCSR_DAZ (1u << 6)
#define MXCSR_RC_SHIFT 13

struct tally {
    uint64_t on_processor, differences;
};

/* Nearest with the inexact flag set is what guests compute with: half of all sets. */
static struct float_status status_next(struct random *r)
{
    uint64_t dice = random_next(r) >> 16;
    bool usual = dice & 1;
    return (struct float_status){
        .rounding = usual ? ROUND_NEAREST : (dice >> 8 & 0xff) % (ROUND_TIES_AWAY + 1),
        .flags = usual ? FLOAT_INEXACT | (dice >> 16 & FLAGS) : dice >> 16 & 0xff,
        .flush_results = !(dice >> 24 & 3),
        .flush_operands = !(dice >> 26 & 3),
        .default_nan = !(dice >> 28 & 15),
        .tiny_before_rounding = !(dice >> 32 & 7),
    };
}

static bool is_nan(enum format format, uint64_t a)
{
    return format == FORMAT_float64 ? a << 1 > UINT64_C(0x7ff) << 53 : (uint32_t)a << 1 > 0xffu << 24;
}

/* Where engine and x86 are meant to agree. Not in the engine: FTZ (it flushes without the flags), and which
 * of two NaNs a result is (it has the x87's rule). Not in x86: rounding ties away, tininess before rounding,
 * a default NaN. */
static bool has_counterpart(const struct operation *op, const uint64_t operand[2],
                            const struct float_status *s)
{
    bool chooses = op->operands == 2 && op->result == op->operand;
    if (chooses && is_nan(op->operand, operand[0]) && is_nan(op->operand, operand[1]))
        return false;
    return s->rounding <= ROUND_TO_ZERO && !s->flush_results && !s->default_nan && !s->tiny_before_rounding;
}

/* The integer for "none": the engine's helpers put it there, so softfloat's own answer does not count. */
static bool is_indefinite(enum format format, uint64_t r)
{
    return (format == FORMAT_int32 && r == (uint64_t)INT32_MIN) ||
           (format == FORMAT_int64 && r == (uint64_t)INT64_MIN);
}

struct outcome {
    uint64_t value;
    unsigned flags;
};

static void differ(struct tally *tally, const struct operation *op, const uint64_t operand[2],
                   const struct float_status *s, struct outcome ours, const char *against,
                   struct outcome theirs)
{
    if (tally->differences++ >= SHOWN)
        return;
    printf("%s: %#" PRIx64 ", %#" PRIx64, op->name, operand[0], operand[1]);
    printf(" (rounding %d flags %#x ftz %d daz %d default nan %d tininess %d)", s->rounding, s->flags,
           s->flush_results, s->flush_operands, s->default_nan, s->tiny_before_rounding);
    printf(": %#" PRIx64 " flags %#x, %s has %#" PRIx64 " flags %#x\n", ours.value, ours.flags, against,
           theirs.value, theirs.flags);
}

static struct outcome on_processor(const struct operation *op, const uint64_t operand[2],
                                   const struct float_status *s)
{
    uint32_t mxcsr = MXCSR_ALL_MASKED | (uint32_t)s->rounding << MXCSR_RC_SHIFT |
                     (s->flush_operands ? MXCSR_DAZ : 0) | (s->flags & FLAGS);
    uint64_t value = op->processor(operand[0], operand[1], &mxcsr);
    return (struct outcome){value, mxcsr & FLAGS};
}

static void try_set(const struct operation *op, struct random *r, struct tally *tally)
{
    uint64_t a = operand_next(r, op->operand);
    const uint64_t operand[2] = {a, op->operands == 2 ? operand_beside(r, op->operand, a) : 0};
    const struct float_status before = status_next(r);
    struct float_status wrapped = before, original = before;
    struct outcome ours = {op->wrapped(operand[0], operand[1], &wrapped), wrapped.flags};
    struct outcome engine = {op->original(operand[0], operand[1], &original), original.flags};
    if (ours.value != engine.value || memcmp(&wrapped, &original, sizeof(wrapped)))
        differ(tally, op, operand, &before, ours, "the engine", engine);
    if (!has_counterpart(op, operand, &before))
        return;
    tally->on_processor++;
    struct outcome processor = on_processor(op, operand, &before);
    bool same_value = ours.value == processor.value || is_indefinite(op->result, processor.value);
    if (!same_value || (ours.flags & FLAGS) != processor.flags)
        differ(tally, op, operand, &before, ours, "the processor", processor);
}

int main(int argc, char **argv)
{
    uint64_t sets = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    if (!sets || !seed) {
        fprintf(stderr, "usage: fuzz_float SETS [SEED], neither of them 0\n");
        return 2;
    }
    if (!__builtin_cpu_supports("sse4.1")) {
        fprintf(stderr, "fuzz_float: this processor has no ROUNDSD (SSE4.1) to compare with\n");
        return 2;
    }
    uint64_t differences = 0;
    for (unsigned i = 0; i < operation_count; i++) {
        struct random r = {seed * 0x9e3779b97f4a7c15ull + i + 1};
        struct tally tally = {0};
        for (uint64_t n = 0; n < sets; n++)
            try_set(&operations[i], &r, &tally);
        printf("%s: %" PRIu64 " sets, %" PRIu64 " also on the processor, %" PRIu64 " differences\n",
               operations[i].name, sets, tally.on_processor, tally.differences);
        differences += tally.differences;
    }
    return differences != 0;
}
