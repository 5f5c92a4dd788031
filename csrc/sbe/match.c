/*
 * Owns the recognition of sensitive instructions: prefixes, opcode and ModRM against the forms of the table.
 * It decides before Capstone is asked, because Capstone refuses encodings that a processor or the engine runs
 * (LOCK RDMSR, REX before another prefix), and no privileged instruction may slip through in one of those.
 * Leaves out operands (operand.c) and everything that is not in the table.
 */
#include "match.h"

static bool append(struct sbe_index *index, uint16_t *used, unsigned opcode, struct sbe_index_entry entry)
{
    if (*used == SBE_MAX_FORMS)
        return false;
    uint16_t *link = &index->head[entry.form->map][opcode];
    while (*link)
        link = &index->entry[*link].next;
    index->entry[*used] = entry;
    *link = (*used)++;
    return true;
}

bool sbe_index_build(struct sbe_index *index)
{
    *index = (struct sbe_index){0};
    uint16_t used = 1;
    for (uint16_t insn = 0; insn < SBE_INSN_COUNT; insn++) {
        const struct sbe_row *row = &sbe_rows[insn];
        for (const struct sbe_form *form = row->forms; form < row->forms + row->form_count; form++) {
            for (unsigned opcode = form->opcode; opcode <= sbe_form_last(form); opcode++) {
                if (!append(index, &used, opcode, (struct sbe_index_entry){form, insn, 0}))
                    return false;
            }
        }
    }
    return true;
}

static bool prefix_fits(const struct sbe_form *form, const struct sbe_decoded *d)
{
    bool rep = d->has_f2 || d->has_f3;
    switch (form->prefix) {
    case SBE_PREFIX_NONE: return !rep && !d->has_66;
    case SBE_PREFIX_NOREP: return !rep;
    case SBE_PREFIX_66: return !rep && d->has_66;
    case SBE_PREFIX_F2: return d->has_f2 && d->repne_last;
    case SBE_PREFIX_F3: return d->has_f3 && !d->repne_last;
    case SBE_PREFIX_LOCK: return d->has_lock;
    default: return true;
    }
}

bool sbe_form_takes_modrm(const struct sbe_form *form, uint8_t modrm)
{
    bool is_register = modrm >= 0xc0;
    if (form->modrm == SBE_MODRM_NONE)
        return true;
    if ((form->modrm == SBE_MODRM_MEM && is_register) || (form->modrm == SBE_MODRM_REG && !is_register))
        return false;
    if (form->rm && (modrm & 7) != form->rm - 1)
        return false;
    unsigned reg = modrm >> 3 & 7, both = form->modrm == SBE_MODRM_CONTROL ? 0x101u : 1u;
    return !form->regs || (form->regs & both << reg);
}

/* The number a form's regs are about: REX.R extends control and debug registers, never a group's digit. */
static unsigned form_reg(const struct sbe_form *form, const struct sbe_decoded *d, uint8_t modrm)
{
    unsigned high = form->modrm == SBE_MODRM_CONTROL && (d->rex & 4) ? 8 : 0;
    return (modrm >> 3 & 7) | high;
}

static bool form_fits(const struct sbe_form *form, const struct sbe_decoded *d, uint8_t modrm)
{
    if (!sbe_form_in_mode(form, d->mode) || !prefix_fits(form, d) || (form->no_rex_b && (d->rex & 1)))
        return false;
    if (!sbe_form_takes_modrm(form, modrm))
        return false;
    return !form->regs || (form->regs & 1u << form_reg(form, d, modrm));
}

static unsigned immediate_length(const struct sbe_form *form, const struct sbe_decoded *d)
{
    if (form->imm != SBE_IMM_FAR_POINTER)
        return form->imm;
    return sbe_operand_size(d) == 2 ? 4 : 6;
}

static enum sbe_verdict measure(struct sbe_match *match, const uint8_t *code, size_t avail)
{
    const struct sbe_decoded *d = &match->decoded;
    unsigned len = d->opcode_end;
    if (match->form->modrm == SBE_MODRM_CONTROL) {
        len += 1;
    } else if (match->form->modrm != SBE_MODRM_NONE) {
        unsigned modrm = sbe_modrm_length(d, code + len, avail - len);
        if (!modrm)
            return SBE_CUT_OFF;
        len += modrm;
    }
    len += immediate_length(match->form, d);
    if (len > SBE_MAX_INSN)
        return SBE_UNDEFINED;
    match->len = (uint8_t)len;
    return len <= avail ? SBE_DECODED : SBE_CUT_OFF;
}

enum sbe_verdict sbe_match(const struct sbe_index *index, enum sbe_mode mode, const uint8_t *code,
                           size_t avail, struct sbe_match *out)
{
    out->form = NULL;
    enum sbe_verdict verdict = sbe_decode(mode, code, avail, &out->decoded);
    if (verdict != SBE_DECODED)
        return verdict;
    const struct sbe_decoded *d = &out->decoded;
    for (uint16_t at = index->head[d->map][d->opcode]; at; at = index->entry[at].next) {
        const struct sbe_form *form = index->entry[at].form;
        if (form->modrm != SBE_MODRM_NONE && d->opcode_end >= avail)
            return SBE_CUT_OFF;
        uint8_t modrm = form->modrm == SBE_MODRM_NONE ? 0 : code[d->opcode_end];
        if (form_fits(form, d, modrm)) {
            out->form = form;
            out->insn = index->entry[at].insn;
            return measure(out, code, avail);
        }
    }
    return SBE_DECODED;
}
