/*
 * Owns the scan of a block before its first execution.
 *
 * A scan alternates between two gaits. The prefilter proves a stretch of bytes free of candidates; nothing is
 * disassembled then, the stretch is settled, and should the translator want more, the scan goes on from the
 * last known start of an instruction. Where the prefilter finds something, Capstone walks there instruction
 * by instruction: only from the start of the block is it known at which alignment the bytes execute.
 *
 * Capstone gives the length of every instruction that is not in the table. Where it refuses one, length.c has
 * it, the stretch ends behind it, and the engine decides whether it is undefined.
 */
#include <errno.h>
#include <string.h>

#include "sbe_private.h"

enum {
    WINDOW = 96,   /* bytes looked at ahead: most blocks are shorter */
    WORTHWHILE = 8 /* a clean stretch shorter than this is not worth a call of its own */
};

/* Offsets are from code, which is the byte at address base. */
struct cursor {
    struct sbe *sbe;
    struct sbe_scan *out;
    const uint8_t *code;
    uint64_t base;
    size_t avail, at;
    size_t settled; /* the caller has everything before this already */
    size_t dirty;   /* the prefilter vouches for nothing before this */
};

/* What the translator of the engine ends a block at, too. To stop early is harmless: sbe_scan_more() goes
 * on. */
static const bool ends_block[X86_INS_ENDING] = {
    [X86_INS_JMP] = true, [X86_INS_CALL] = true, [X86_INS_RET] = true,
    [X86_INS_JA] = true, [X86_INS_JAE] = true, [X86_INS_JB] = true, [X86_INS_JBE] = true,
    [X86_INS_JE] = true, [X86_INS_JNE] = true, [X86_INS_JG] = true, [X86_INS_JGE] = true,
    [X86_INS_JL] = true, [X86_INS_JLE] = true, [X86_INS_JO] = true, [X86_INS_JNO] = true,
    [X86_INS_JP] = true, [X86_INS_JNP] = true, [X86_INS_JS] = true, [X86_INS_JNS] = true,
    [X86_INS_JCXZ] = true, [X86_INS_JECXZ] = true, [X86_INS_JRCXZ] = true,
    [X86_INS_LOOP] = true, [X86_INS_LOOPE] = true, [X86_INS_LOOPNE] = true,
    [X86_INS_UD0] = true, [X86_INS_UD1] = true, [X86_INS_UD2] = true,
};

enum gait { GO_ON, DONE };

static int finish(struct cursor *c, size_t end)
{
    c->out->end = c->base + (end > c->settled ? end : c->settled);
    c->out->resume = c->base + c->at;
    return DONE;
}

/* Behind the end of a block. If the translator has gone past it already, it was none to the engine. */
static int finish_block(struct cursor *c)
{
    return c->at > c->settled ? finish(c, c->at) : GO_ON;
}

static int finish_cut_off(struct cursor *c)
{
    c->out->truncated = true;
    return finish(c, c->at);
}

/* The engine fetches up to a sixteenth byte before it raises its fault. */
static int finish_undefined(struct cursor *c)
{
    size_t end = c->at + SBE_MAX_INSN + 1;
    c->out->undecodable = true;
    c->sbe->stats.undecodable++;
    return finish(c, end > c->avail ? c->avail : end);
}

/* What the caller's bytes end with is left to Capstone, so that a scan which needs the next page says so
 * at the start of the instruction that crosses into it. */
static int leap(struct cursor *c)
{
    size_t from = c->at > c->settled ? c->at : c->settled;
    size_t to = c->avail - from > WINDOW ? from + WINDOW : c->avail;
    size_t provable = c->avail > SBE_MAX_INSN ? c->avail - SBE_MAX_INSN : 0;
    struct sbe_clean r = sbe_prefilter_find(&c->sbe->prefilter, c->out->mode, c->code, c->at, to);
    size_t clean = r.clean < provable ? r.clean : provable;
    c->dirty = r.dirty;
    return clean >= from + WORTHWHILE ? finish(c, clean) : GO_ON;
}

static int add_patch(struct cursor *c, const struct sbe_match *match, enum sbe_policy policy)
{
    struct sbe_scan *out = c->out;
    struct sbe_site key = {.pc = c->base + c->at,
                           .cls = sbe_rows[match->insn].cls,
                           .insn = match->insn,
                           .mode = out->mode,
                           .cpl = out->cpl,
                           .policy = (uint8_t)policy,
                           .len = match->len};
    memcpy(key.bytes, c->code + c->at, match->len);
    int64_t number = sbe_site_at(c->sbe, match, &key);
    if (number < 0)
        return (int)number;
    const struct sbe_site *site = sbe_site(c->sbe, (uint32_t)number);
    struct sbe_patch *patch = &out->patch[out->n++];
    *patch = (struct sbe_patch){.pc = site->pc, .site = (uint32_t)number, .len = site->len};
    memcpy(patch->bytes, site->replacement, site->len);
    c->at += match->len;
    return site->shape == SBE_END ? finish_block(c) : GO_ON;
}

static int step_sensitive(struct cursor *c, const struct sbe_match *match)
{
    enum sbe_policy policy = sbe_policy(c->sbe, match->insn, c->out->mode, c->out->cpl);
    c->sbe->stats.candidates++;
    if (c->out->adaptive && sbe_rows[match->insn].policy[SBE_ADAPTIVE] == SBE_NATIVE)
        policy = SBE_NATIVE;
    if (policy == SBE_NATIVE && match->decoded.has_lock)
        policy = SBE_TRAP;
    if (policy != SBE_NATIVE)
        return add_patch(c, match, policy);
    c->at += match->len;
    return sbe_rows[match->insn].shape == SBE_END ? finish_block(c) : GO_ON;
}

static int step_refused(struct cursor *c)
{
    unsigned len;
    switch (sbe_length(c->out->mode, c->code + c->at, c->avail - c->at, &len)) {
    case SBE_CUT_OFF:
        return finish_cut_off(c);
    case SBE_UNDEFINED:
        return finish_undefined(c);
    default:
        c->out->undecodable = true;
        c->sbe->stats.undecodable++;
        c->at += len;
        return finish_block(c);
    }
}

static int step_ordinary(struct cursor *c)
{
    const uint8_t *code = c->code + c->at;
    size_t left = c->avail - c->at;
    uint64_t address = c->base + c->at;
    cs_insn *insn = c->sbe->scratch;
    if (!cs_disasm_iter(c->sbe->capstone[c->out->mode], &code, &left, &address, insn))
        return step_refused(c);
    c->at += insn->size;
    return insn->id < X86_INS_ENDING && ends_block[insn->id] ? finish_block(c) : GO_ON;
}

static int step(struct cursor *c)
{
    if (c->at == c->avail)
        return finish(c, c->at);
    struct sbe_match match;
    c->out->insns++;
    c->sbe->stats.instructions++;
    switch (sbe_match(&c->sbe->index, c->out->mode, c->code + c->at, c->avail - c->at, &match)) {
    case SBE_CUT_OFF:
        return finish_cut_off(c);
    case SBE_UNDEFINED:
        return finish_undefined(c);
    default:
        return match.form ? step_sensitive(c, &match) : step_ordinary(c);
    }
}

/* DONE, or a negative errno. */
static int walk(struct cursor *c)
{
    for (unsigned n = 0; n < SBE_MAX_BLOCK && c->out->n < SBE_MAX_BLOCK; n++) {
        int gait = GO_ON;
        if (c->at >= c->dirty && c->at < c->avail && !c->sbe->config.no_prefilter)
            gait = leap(c);
        if (gait == GO_ON)
            gait = step(c);
        if (gait != GO_ON)
            return gait;
    }
    return finish(c, c->at);
}

static int timed_walk(struct cursor *c)
{
    uint64_t start = __builtin_ia32_rdtsc();
    c->out->truncated = c->out->undecodable = false;
    int result = walk(c);
    c->sbe->ticks += __builtin_ia32_rdtsc() - start;
    return result < 0 ? result : 0;
}

int sbe_scan(struct sbe *sbe, enum sbe_mode mode, unsigned cpl, uint64_t pc, const uint8_t *code,
             size_t avail, struct sbe_scan *out)
{
    if ((unsigned)mode >= SBE_MODE_COUNT || cpl > 3 || !avail)
        return sbe_fail(sbe, -EINVAL, "scan at 0x%llx: mode %u, level %u, %zu bytes", (unsigned long long)pc,
                        (unsigned)mode, cpl, avail);
    out->start = out->end = out->resume = pc;
    out->mode = (uint8_t)mode;
    out->cpl = (uint8_t)cpl;
    out->insns = out->n = 0;
    uint64_t instructions = sbe->stats.instructions;
    struct cursor c = {.sbe = sbe, .out = out, .code = code, .base = pc, .avail = avail};
    int result = timed_walk(&c);
    sbe->stats.blocks++;
    sbe->stats.clean += sbe->stats.instructions == instructions;
    return result;
}

int sbe_scan_more(struct sbe *sbe, const uint8_t *code, size_t avail, struct sbe_scan *out)
{
    uint64_t settled = out->end - out->resume;
    if (out->end < out->resume || avail <= settled || out->n >= SBE_MAX_BLOCK)
        return sbe_fail(sbe, -EINVAL, "scan beyond 0x%llx: %zu bytes from 0x%llx, %u sites",
                        (unsigned long long)out->end, avail, (unsigned long long)out->resume, out->n);
    struct cursor c = {.sbe = sbe, .out = out, .code = code, .base = out->resume, .avail = avail,
                       .settled = (size_t)settled};
    sbe->stats.extensions++;
    int result = timed_walk(&c);
    if (result == 0 && out->end <= c.base + settled && !out->truncated)
        return sbe_fail(sbe, -EILSEQ, "scan beyond 0x%llx: engine and scanner disagree on the code before it",
                        (unsigned long long)out->end);
    return result;
}
