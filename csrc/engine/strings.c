/* REP MOVS and REP STOS, a page at a time.
 *
 * The engine makes a loop of them: a block of one instruction that moves one element and jumps to itself. At
 * the start of such a block a call is put that moves as many elements as can be moved without anybody
 * noticing: in plain memory that the TLB already has, within a page, no more than fit before the next safe
 * point. Each counts as the pass through the block that it replaces, and the block itself moves the element
 * after them: faults, interrupts and device memory are met where they would have been, and every count is
 * what it was.
 *
 * In 64-bit mode, upwards, without segment bases. What differs from that, and the other string instructions,
 * runs element by element. */
#include "engine/strings.h"

#include <string.h>

#include "core/vcpu.h"
#include "engine/private.h"
#include "engine/tlb.h"
#include "mem/ram.h"

enum { REP = 0xf3, OPERAND_16 = 0x66, MOVSB = 0xa4, STOSB = 0xaa };
enum { LOOKED_AT = 4 };              /* bytes: 66 F3 REX opcode */
enum { WORTH_IT = 4 };               /* elements */
enum { ELEMENT = 15, IS_STOS = 16 }; /* what the call is told: size of an element, and which it is */

/* That, or 0 where the code is neither instruction. Prefixes stand as assemblers write them. */
static unsigned recognise(const uint8_t *code, uint64_t room)
{
    unsigned size = 4;
    if (room < LOOKED_AT)
        return 0;
    if (*code == OPERAND_16) {
        size = 2;
        code++;
    }
    if (*code++ != REP)
        return 0;
    if ((*code & 0xf0) == 0x40)
        size = *code++ & 8 ? 8 : size;
    if ((*code & ~1u) != MOVSB && (*code & ~1u) != STOSB)
        return 0;
    return (*code & 1 ? size : 1) | ((*code & ~1u) == STOSB ? IS_STOS : 0);
}

void strings_emit(void *ctx, const struct tb *tb, const uint8_t *code, uint64_t room)
{
    unsigned what = tb->flags & HF_CS64 && !(tb->flags & FLAG_TF) ? recognise(code, room) : 0;
    if (!what)
        return;
    void *args[2] = {(char *)ctx + (uintptr_t)TCG_ENV(ctx),
                     (char *)ctx + (uintptr_t)tcg_const_i32_x86_64(ctx, (int32_t)what)};
    __real_tcg_gen_callN_x86_64(ctx, (void *)__wrap_helper_vmload_x86_64, NULL, 2, args);
}

/* Elements from `va` to the end of its page. */
static uint64_t room_on_page(uint64_t va, unsigned size)
{
    return (PAGE_SIZE - (va & (PAGE_SIZE - 1))) / size;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A comparator equal to the page's address: mapped, and nothing to be noticed of an access. */
static uint8_t *plain(const struct tlb_entry *e, uint64_t comparator, uint64_t va)
{
    return comparator == (va & ~(PAGE_SIZE - 1)) ? (uint8_t *)(va + e->addend) : NULL;
}

static void fill(uint8_t *to, uint64_t value, unsigned size, uint64_t count)
{
    uint64_t pattern = value * (size == 1 ? 0x0101010101010101ull : 1);
    if (size == 1 || !value) {
        memset(to, (int)(pattern & 0xff), count * size);
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        memcpy(to + i * size, &value, size);
}

static uint64_t stos(struct guest *g, unsigned size, uint64_t count)
{
    const struct tlb_entry *e = tlb_entry_of(g, g->reg[RDI]);
    uint8_t *to = plain(e, e->write, g->reg[RDI]);
    if (!to)
        return 0;
    fill(to, size == 8 ? g->reg[RAX] : g->reg[RAX] & ((1ull << (8 * size)) - 1), size, count);
    return count;
}

/* Where the destination lies ahead within the source, elements written are read again: no more than that
 * distance at once. */
static uint64_t movs(struct guest *g, unsigned size, uint64_t count)
{
    uint64_t rsi = g->reg[RSI], rdi = g->reg[RDI];
    const struct tlb_entry *e = tlb_entry_of(g, rsi), *f = tlb_entry_of(g, rdi);
    const uint8_t *from = plain(e, e->read, rsi);
    uint8_t *to = plain(f, f->write, rdi);
    if (!from || !to)
        return 0;
    count = least(count, room_on_page(rsi, size));
    uint64_t ahead = (uint64_t)(to - from);
    if (ahead < count * size)
        count = ahead / size;
    memmove(to, from, count * size);
    g->reg[RSI] += count * size;
    return count;
}

/* Called under the name of an instruction that no guest has (VMLOAD). */
void __wrap_helper_vmload_x86_64(struct guest *g, int what)
{
    unsigned size = (unsigned)what & ELEMENT;
    uint64_t rcx = g->reg[RCX];
    if (rcx < WORTH_IT || g->left < WORTH_IT || g->df != 1)
        return;
    uint64_t count = least(least(rcx - 1, (uint64_t)g->left), room_on_page(g->reg[RDI], size));
    count = what & IS_STOS ? stos(g, size, count) : movs(g, size, count);
    g->reg[RDI] += count * size;
    g->reg[RCX] -= count;
    g->left -= (int64_t)count;
}
