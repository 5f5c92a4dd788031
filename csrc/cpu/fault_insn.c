/* What the instruction that has just faulted is, where the engine's exception does not say: INT1, which it
 * takes for undefined, and accesses through the stack segment, whose non-canonical addresses are #SS and not
 * #GP (Intel SDM volume 3, 6.15).
 *
 * Reads the code through the current page tables without side effects; what cannot be read is no such
 * instruction. */
#include "cpu/cpu.h"

#include <string.h>

#include "core/vcpu.h"
#include "engine/engine.h"
#include "mem/ram.h"
#include "vmk_sbe.h"
#include "vmk_sbe_table.h"

#define NEAR                                                                                                 \
    64 /* bytes around RSP that an implicit stack access may touch, ENTER's frame pointers left out */

static unsigned mode_of(const struct guest *g)
{
    if (g->rflags & FLAG_VM)
        return SBE_MODE_VM86;
    return g->hflags & HF_CS64 ? SBE_MODE_64 : g->hflags & HF_CS32 ? SBE_MODE_32 : SBE_MODE_16;
}

static unsigned read_code(struct vcpu *v, uint8_t code[SBE_MAX_INSN])
{
    uint64_t base = v->guest->seg[SEG_CS].base + v->guest->rip, gpa;
    unsigned n = 0;
    while (n < SBE_MAX_INSN && engine_peek(v, base + n, &gpa)) {
        unsigned part = (unsigned)(PAGE_SIZE - (gpa & (PAGE_SIZE - 1)));
        if (part > SBE_MAX_INSN - n)
            part = SBE_MAX_INSN - n;
        if (ram_read(v->board, gpa, &code[n], part) != VMK_OK)
            break;
        n += part;
    }
    return n;
}

unsigned cpu_int1_length(struct vcpu *v)
{
    uint8_t code[SBE_MAX_INSN];
    unsigned length, n = read_code(v, code);
    if (vmk_sbe_identify(mode_of(v->guest), code, n, &length) != SBE_INSN_INT1 || memchr(code, 0xf0, length))
        return 0;
    return length;
}

bool cpu_uses_stack_segment(struct vcpu *v, uint64_t va)
{
    uint8_t code[SBE_MAX_INSN];
    unsigned n = read_code(v, code);
    unsigned use = sbe_stack_use((enum sbe_mode)mode_of(v->guest), code, n);
    if (use & SBE_STACK_OPERAND)
        return true;
    return use & SBE_STACK_IMPLICIT &&
           (!(use & SBE_STACK_MEMORY) || va - v->guest->reg[RSP] + NEAR <= 2 * NEAR);
}
