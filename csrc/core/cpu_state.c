/* What of a vCPU is state: the ranges of the register file that the architecture knows, and the monitor's own
 * registers.
 *
 * The engine's register file also has scratch space: upper halves of vector registers that nothing can read,
 * padding behind the x87 registers, temporaries, and the arithmetic flags in the form they were last computed
 * from (between runs rflags has them all). Two equal runs differ there. */
#include "core/cpu_state.h"

#include <string.h>

#include "core/vcpu.h"

#define X87_AT 624u
#define X87_STRIDE 16u
#define X87_BYTES 10u
#define MXCSR_AT 816u
#define XMM_AT 824u
#define XMM_STRIDE 64u
#define XMM_BYTES 16u

struct range {
    uint32_t at, stride, bytes, count;
};

static const struct range ranges[] = {
    {0, 0, 144, 1}, /* general registers, instruction pointer, flags */
    {172, 0, X87_AT - 172, 1}, /* mode bits, segments and control registers to the x87 control words */
    {X87_AT, X87_STRIDE, X87_BYTES, 8},
    {752, 0, 784 - 752, 1},    /* x87 pointers and status */
    {MXCSR_AT, 0, 4, 1}, /* whose modes and flags are the host's while the engine runs: engine/mxcsr.c */
    {XMM_AT, XMM_STRIDE, XMM_BYTES, 16},
    {4800, 0, 4872 - 4800, 1}, /* SYSENTER and SYSCALL registers */
    {4896, 0, 5392 - 4896, 1}, /* TSC_AUX to the error code; then where a software interrupt returns to */
    {5400, 0, 5464 - 5400, 1}, /* debug registers; behind them are host pointers */
};

#define OWN_WORDS 9

size_t cpu_state_size(void)
{
    size_t total = OWN_WORDS * sizeof(uint64_t);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        total += (size_t)ranges[i].bytes * ranges[i].count;
    return total;
}

void cpu_state_save(const struct vcpu *v, uint8_t *out)
{
    const uint64_t own[OWN_WORDS] = {
        guest_icount(v->guest), v->state,     v->nmi_pending, (uint64_t)v->tsc_offset,
        v->spec_ctrl,           v->microcode, v->mtrr_def,    v->random,
        v->vmi_page,
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        for (uint32_t n = 0; n < ranges[i].count; n++) {
            memcpy(out, (const uint8_t *)v->guest + ranges[i].at + n * ranges[i].stride, ranges[i].bytes);
            out += ranges[i].bytes;
        }
    }
    memcpy(out, own, sizeof(own));
}
