/* The guest's arithmetic flags while its code runs on the host's.
 *
 * They live in the host's flags until something of ours has to use those: the check of a memory access, a
 * block's count. Then they are saved to RAX, if anybody may see them again: a later reader, a fault, the
 * world outside the loop. What the processor leaves undefined is corrected as it is saved, to what the engine
 * computes (Unicorn 2.1.4, cc_helper_template.h): a guest's state must not tell whose code it ran. */
#include "direct/compiler.h"

#define AH_WITHOUT_AF 0xef

void flags_find_needed(struct compiler *c)
{
    for (unsigned b = 0; b < c->loop->blocks; b++) {
        const struct direct_block *block = &c->loop->block[b];
        bool live = true;
        for (unsigned k = block->first + block->n; k-- > block->first;) {
            const struct insn *i = &c->insn[k];
            c->needed[k] = live;
            if (insn_writes_all_flags(i))
                live = false;
            if (insn_reads_flags(i) || insn_access(i))
                live = true;
        }
    }
}

/* The constant first: both instructions write parts of RAX, which processors that do not rename parts would
 * make wait for what was saved before. */
static void lahf(struct assembler *a)
{
    asm_constant(a, FLAGS, 0);
    asm_byte(a, 0x9f);
}
static void sahf(struct assembler *a) { asm_byte(a, 0x9e); }

static void clear_saved_af(struct assembler *a)
{
    const uint8_t and_ah[] = {0x80, 0xe4, AH_WITHOUT_AF};
    asm_bytes(a, and_ah, sizeof(and_ah));
}

static void saved_of(struct compiler *c)
{
    struct assembler *a = &c->a;
    if (c->flags.fix_of == OF_ZERO) {
        const uint8_t mov_al[] = {0xb0, 0};
        asm_bytes(a, mov_al, sizeof(mov_al));
    } else if (c->flags.fix_of == OF_SF_XOR_CF) {
        asm_set(a, IF_S, FLAGS);
        asm_set(a, IF_B, TEMP);
        asm_modrm_tail(a, 0x32, 1, FLAGS, in_reg(TEMP), true, 0); /* xor al, temp */
        c->flags.live = false;
    } else {
        asm_set(a, IF_O, FLAGS);
    }
}

bool flags_may_be_lazy(const struct compiler *c)
{
    const struct direct_block *b = &c->loop->block[0];
    for (unsigned k = b->first; k < b->first + b->n; k++) {
        const struct insn *i = &c->insn[k];
        if (insn_reads_flags(i) || insn_writes_some_flags(i))
            return false;
        if (insn_writes_all_flags(i))
            return true;
    }
    return false;
}

static void do_again(struct compiler *c)
{
    again_emit(c, c->flags.again);
    c->flags.live = true;
    c->flags.clear_af = c->flags.again->effect == EFFECT_LOGIC && c->host->quirks.logic_keeps_af;
    c->flags.fix_of = OF_RIGHT;
}

void flags_save(struct compiler *c)
{
    if (c->flags.saved || c->flags.lazy)
        return; /* lazy ones are where they can be found */
    if (!c->flags.live && c->flags.again)
        do_again(c);
    if (!c->flags.live)
        return;
    lahf(&c->a);
    saved_of(c);
    if (c->flags.clear_af) {
        clear_saved_af(&c->a);
        c->flags.live = false;
    }
    c->flags.saved = true;
}

/* CMP AL, 0x81 overflows where AL is 1. */
void flags_restore(struct compiler *c)
{
    const uint8_t cmp_al[] = {0x3c, 0x81};
    asm_bytes(&c->a, cmp_al, sizeof(cmp_al));
    sahf(&c->a);
}

void flags_make_live(struct compiler *c, bool with_of)
{
    if (c->flags.live && with_of && c->flags.fix_of) {
        flags_save(c);
        c->flags.live = false;
    }
    if (!c->flags.live && !c->flags.saved && c->flags.again)
        do_again(c);
    if (c->flags.live || !c->flags.saved)
        return;
    flags_restore(c);
    c->flags.live = true;
    c->flags.clear_af = false;
    c->flags.fix_of = OF_RIGHT;
}

/* An instruction that writes some flags needs the others where they are kept. */
void flags_before(struct compiler *c, const struct insn *i, bool needed)
{
    if (insn_reads_flags(i))
        flags_make_live(c, insn_reads_of(i));
    if (i->by_cl && needed) {
        flags_save(c); /* a count of 0 changes nothing */
        asm_store(&c->a, 8, near(&c->loop->data->value), H_RCX); /* which may be what is shifted */
    } else if (insn_writes_some_flags(i) && needed)
        flags_make_live(c, false);
}

static void saved_only(struct compiler *c)
{
    c->flags = (struct flags_state){.saved = true};
}

static void live_only(struct compiler *c, bool clear_af, uint8_t fix_of)
{
    c->flags = (struct flags_state){.live = true, .clear_af = clear_af, .fix_of = fix_of};
}

/* A register operand's value: in a host register or where the guest's state keeps it. */
static struct operand place_of(const struct compiler *c, uint8_t reg)
{
    return c->map[reg] == NO_REG ? guest_reg(reg) : in_reg(c->map[reg]);
}

/* CF and OF are right, the rest is of the low half of the product. */
static void after_multiply(struct compiler *c, const struct insn *i)
{
    struct assembler *a = &c->a;
    struct operand product = place_of(c, i->op == OP_GROUP3 ? RAX : i->reg);
    const uint8_t or_ah_al[] = {0x08, 0xc4};
    asm_set(a, IF_B, FLAGS);
    asm_group1(a, 7, i->size, product, 0); /* cmp with 0: as TEST, and AF is 0 */
    asm_byte(a, 0x9f);
    asm_bytes(a, or_ah_al, sizeof(or_ah_al));
    saved_only(c);
}

/* CF is the bit that went round; OF compares it with its neighbour. */
static void after_rotate(struct compiler *c, const struct insn *i)
{
    struct assembler *a = &c->a;
    bool left = i->effect == EFFECT_ROL;
    const uint8_t mov_al_ah[] = {0x88, 0xe0}, and_al_1[] = {0x24, 1};
    lahf(a);
    asm_modrm_tail(a, OP_0F | 0xba, i->size == 1 ? 4 : i->size, 4, place_of(c, i->rm), false, 1); /* bt */
    asm_byte(a, (uint8_t)(i->size * 8 - (left ? 1 : 2)));
    asm_set(a, IF_B, TEMP);
    if (c->flags.clear_af)
        clear_saved_af(a);
    asm_bytes(a, mov_al_ah, sizeof(mov_al_ah));
    asm_bytes(a, and_al_1, sizeof(and_al_1));
    asm_modrm_tail(a, 0x32, 1, FLAGS, in_reg(TEMP), true, 0);
    saved_only(c);
}

/* A shift by CL: the flags are new where the count is not 0. RAX has the old ones. */
static void after_shift_by_cl(struct compiler *c, const struct insn *i)
{
    struct assembler *a = &c->a;
    uint8_t mask = i->size == 8 ? 63 : 31;
    bool left = i->effect == EFFECT_SHL, arithmetic = i->reg == 7;
    asm_mov(a, 4, ADDRESS, FLAGS);
    live_only(c, true, left ? OF_SF_XOR_CF : arithmetic ? OF_ZERO : OF_RIGHT);
    flags_save(c);
    asm_load(a, 4, TEMP, near(&c->loop->data->value));
    asm_group1(a, 4, 4, in_reg(TEMP), mask);
    asm_modrm(a, OP_0F | 0x44, 4, FLAGS, in_reg(ADDRESS)); /* cmove */
    if (!left && !arithmetic) { /* by more than 1: OF is 0; the old flags stay where the count is 0 */
        asm_group1(a, 7, 4, in_reg(TEMP), 1);
        uint8_t *keep = asm_jump_if(a, 6); /* be */
        const uint8_t mov_al[] = {0xb0, 0};
        asm_bytes(a, mov_al, sizeof(mov_al));
        asm_patch_here(a, keep);
    }
    saved_only(c);
}

static uint8_t of_after_shift(const struct insn *i)
{
    return i->effect == EFFECT_SHL ? OF_SF_XOR_CF : OF_ZERO;
}

void flags_after(struct compiler *c, const struct insn *i, bool needed)
{
    const struct direct_quirks *q = &c->host->quirks;
    bool many = i->by_cl || i->imm > 1;
    switch (i->effect) {
    case EFFECT_NONE:
        break;
    case EFFECT_ARITH:
    case EFFECT_INCDEC:
        live_only(c, false, OF_RIGHT);
        break;
    case EFFECT_LOGIC:
        live_only(c, q->logic_keeps_af, OF_RIGHT);
        break;
    case EFFECT_SHL:
    case EFFECT_SHR:
        if (i->by_cl && needed)
            after_shift_by_cl(c, i);
        else
            live_only(c, q->shift_keeps_af, many ? of_after_shift(i) : OF_RIGHT);
        break;
    case EFFECT_ROL:
    case EFFECT_ROR:
        if (many && needed)
            after_rotate(c, i);
        else
            live_only(c, c->flags.clear_af, OF_RIGHT);
        break;
    case EFFECT_MUL:
        if (needed)
            after_multiply(c, i);
        else
            live_only(c, false, OF_RIGHT);
        break;
    }
    if (i->effect && again_can(i))
        c->flags.again = i;
}

static bool af_after(bool shift)
{
    uint64_t flags, value = 0x35;
    /* AF is set first; the flags are read through the stack, past the red zone. */
    if (shift)
        __asm__ volatile("mov $0x10, %%ah; sahf; shl $3, %1; lahf; movzbl %%ah, %%eax"
                         : "=&a"(flags), "+r"(value) : : "cc");
    else
        __asm__ volatile("mov $0x10, %%ah; sahf; and $0x1f, %1; lahf; movzbl %%ah, %%eax"
                         : "=&a"(flags), "+r"(value) : : "cc");
    return flags & 0x10;
}

struct direct_quirks direct_find_quirks(void)
{
    return (struct direct_quirks){.logic_keeps_af = af_after(false), .shift_keeps_af = af_after(true)};
}
