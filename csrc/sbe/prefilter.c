/*
 * Owns the byte prefilter.
 *
 * Whatever the alignment, an instruction of the table contains its opcode: one wanted byte, or 0F and a
 * wanted byte (and a wanted ModRM), with nothing but prefixes in front. So code without such a pattern has no
 * candidate at any alignment, and where the first pattern stands, only an instruction that starts in the run
 * of prefix bytes before it can be one. The tables hold what the current policies want: in the adaptive
 * profile nothing but 0F opcodes, so that memchr() does the work. LOCK makes a candidate of every row, so F0 is
 * looked for as well.
 */
#include "prefilter.h"

#include <string.h>

#include "decode.h"
#include "match.h"

static void want_two_byte(struct sbe_prefilter *filter, const struct sbe_form *form, unsigned opcode)
{
    if (form->modrm == SBE_MODRM_NONE) {
        filter->second[opcode] = SBE_SECOND_YES;
        return;
    }
    if (form->prefix != SBE_PREFIX_LOCK)
        filter->second[opcode] = SBE_SECOND_BY_MODRM;
    else if (filter->second[opcode] == SBE_SECOND_NO)
        filter->second[opcode] = SBE_SECOND_BY_MODRM_AND_LOCK;
    for (unsigned modrm = 0; modrm < 256; modrm++) {
        if (sbe_form_takes_modrm(form, (uint8_t)modrm))
            filter->modrm[opcode][modrm / 8] |= (uint8_t)(1u << modrm % 8);
    }
}

static void want_form(struct sbe_prefilter *filter, const struct sbe_form *form)
{
    for (unsigned opcode = form->opcode; opcode <= sbe_form_last(form); opcode++) {
        if (form->map == SBE_MAP_ONE)
            filter->one[opcode] = 1;
        else if (form->map == SBE_MAP_0F)
            want_two_byte(filter, form, opcode);
        else
            filter->second[form->map == SBE_MAP_0F38 ? 0x38 : 0x3a] = SBE_SECOND_YES;
    }
    if (form->map == SBE_MAP_ONE)
        filter->any_one = true;
    else
        filter->any_two = true;
}

static void want_locked(struct sbe_prefilter *filter, const struct sbe_form *form)
{
    for (unsigned opcode = form->opcode; opcode <= sbe_form_last(form); opcode++) {
        if (form->map == SBE_MAP_ONE)
            filter->locked[0][opcode] = 1;
        else
            filter->locked[1][form->map == SBE_MAP_0F ? opcode : form->map == SBE_MAP_0F38 ? 0x38 : 0x3a] = 1;
    }
}

void sbe_prefilter_build(struct sbe_prefilter *filter, const bool wanted[SBE_INSN_COUNT])
{
    memset(filter, 0, sizeof(*filter));
    for (unsigned insn = 0; insn < SBE_INSN_COUNT; insn++) {
        for (unsigned i = 0; i < sbe_rows[insn].form_count; i++) {
            const struct sbe_form *form = &sbe_rows[insn].forms[i];
            if (wanted[insn] || form->prefix == SBE_PREFIX_LOCK)
                want_form(filter, form);
            if (form->prefix != SBE_PREFIX_LOCK)
                want_locked(filter, form);
        }
    }
}

/* The bytes to be searched; begin is the start of an instruction, so that its prefixes are all in here. */
struct window {
    enum sbe_mode mode;
    const uint8_t *begin, *end;
};

static const uint8_t *start_of_prefixes(const struct window *w, const uint8_t *at)
{
    for (unsigned n = 0; at > w->begin && n < SBE_MAX_INSN - 1 && sbe_is_prefix(w->mode, at[-1]); n++)
        at--;
    return at;
}

static bool has_lock(const struct window *w, const uint8_t *escape)
{
    const uint8_t *prefixes = start_of_prefixes(w, escape);
    return memchr(prefixes, 0xf0, (size_t)(escape - prefixes));
}

/* A byte that is not there yet counts as the worst it could be. */
static bool two_byte_hit(const struct sbe_prefilter *filter, const struct window *w, const uint8_t *escape)
{
    if (w->end - escape < 2)
        return true;
    unsigned action = filter->second[escape[1]];
    if (action == SBE_SECOND_NO || action == SBE_SECOND_YES)
        return action == SBE_SECOND_YES;
    if (w->end - escape >= 3 && !(filter->modrm[escape[1]][escape[2] / 8] & 1u << escape[2] % 8))
        return false;
    return action == SBE_SECOND_BY_MODRM || has_lock(w, escape);
}

static const uint8_t *find_two_byte(const struct sbe_prefilter *filter, const struct window *w)
{
    const uint8_t *at = w->begin;
    while (at < w->end && (at = memchr(at, 0x0f, (size_t)(w->end - at)))) {
        if (two_byte_hit(filter, w, at))
            return at;
        at++;
    }
    return NULL;
}

static const uint8_t *find_any(const struct sbe_prefilter *filter, const struct window *w)
{
    for (const uint8_t *at = w->begin; at < w->end; at++) {
        if (filter->one[*at] || (*at == 0x0f && filter->any_two && two_byte_hit(filter, w, at)))
            return at;
    }
    return NULL;
}

/* LOCK INC and LOCK DEC share their opcode with far transfers, and kernels are full of them. */
static bool locked_hit(const struct sbe_prefilter *filter, const struct window *w, const uint8_t *at)
{
    while (at < w->end && sbe_is_prefix(w->mode, *at))
        at++;
    if (w->end - at < 2)
        return true;
    if (*at == 0x0f)
        return filter->locked[1][at[1]];
    return filter->locked[0][*at] && (*at != 0xff || (at[1] >> 3 & 7) > 1);
}

static const uint8_t *find_locked(const struct sbe_prefilter *filter, const struct window *w)
{
    const uint8_t *at = w->begin;
    while (at < w->end && (at = memchr(at, 0xf0, (size_t)(w->end - at)))) {
        if (locked_hit(filter, w, at))
            return at;
        at++;
    }
    return NULL;
}

struct sbe_clean sbe_prefilter_find(const struct sbe_prefilter *filter, enum sbe_mode mode,
                                    const uint8_t *code, size_t from, size_t to)
{
    const struct window w = {mode, code + from, code + to};
    const uint8_t *hit = filter->any_one ? find_any(filter, &w) : find_two_byte(filter, &w);
    const uint8_t *locked = find_locked(filter, &(struct window){mode, w.begin, hit ? hit : w.end});
    hit = locked ? locked : hit;
    size_t clean = (size_t)(start_of_prefixes(&w, hit ? hit : w.end) - code);
    return (struct sbe_clean){.clean = clean, .dirty = hit ? (size_t)(hit - code) + 1 : clean};
}
