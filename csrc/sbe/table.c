/*
 * Owns the table of privileged and sensitive instructions, built from insns.def, and the face of it that
 * Python, documentation and tests enumerate (vmk_sbe_table.h). Leaves matching bytes against it to match.c.
 */
#include "table.h"

#include <capstone/x86.h>

#include "vmk_sbe_table.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The vocabulary of insns.def. */
#define M(bit) (1u << (bit))
#define R(reg) (1u << (reg))
#define RM(rm) ((rm) + 1)
#define LEGACY (M(SBE_MODE_16) | M(SBE_MODE_32) | M(SBE_MODE_VM86))
#define ANY (LEGACY | M(SBE_MODE_64))
#define NO_VM86 (ANY & ~M(SBE_MODE_VM86))
#define TRAPS (M(SBE_NATIVE) | M(SBE_TRAP))
#define NATIVE_ONLY M(SBE_NATIVE)
#define P_NONE SBE_PREFIX_NONE
#define P_NOREP SBE_PREFIX_NOREP
#define P_66 SBE_PREFIX_66
#define P_F2 SBE_PREFIX_F2
#define P_F3 SBE_PREFIX_F3
#define P_LOCK SBE_PREFIX_LOCK
#define EITHER SBE_MODRM_EITHER
#define MEM SBE_MODRM_MEM
#define REG SBE_MODRM_REG
#define CONTROL SBE_MODRM_CONTROL
#define BYTE SBE_SIZE_BYTE
#define WORD SBE_SIZE_WORD
#define OPERAND_SIZE SBE_SIZE_OPERAND
#define PORT_SIZE SBE_SIZE_PORT
#define STACK_SIZE SBE_SIZE_STACK
#define LONG_SIZE SBE_SIZE_LONG
#define LONG_OR_INT SBE_SIZE_LONG_OR_INT
#define TABLE_SIZE SBE_SIZE_TABLE
#define AS_OPERAND SBE_ACCESS_OPERAND
#define TABLE SBE_ACCESS_TABLE
#define OWORD SBE_ACCESS_OWORD
#define FAR_POINTER SBE_IMM_FAR_POINTER
#define F(map_, opcode_, ...) {.map = SBE_MAP_##map_, .opcode = (opcode_), __VA_ARGS__}
#define SYSTEM(reg_, rm_, ...) F(0F, 0x01, .modrm = REG, .regs = R(reg_), .rm = RM(rm_), __VA_ARGS__)
#define IDS(...) {__VA_ARGS__}

#define INSN(id, mnemonic, cls, kind, full, adaptive, allowed, shape, modes, inline_asm, why, ids, ...)    \
    static const struct sbe_form forms_##id[] = {__VA_ARGS__};
#include "insns.def"
#undef INSN

#define INSN(id_, name_, cls_, kind_, full_, adapt_, allowed_, shape_, modes_, inline_, why_, ids_, ...)   \
    [SBE_INSN_##id_] = {                                                                                   \
        .id = #id_,                                                                                        \
        .mnemonic = (name_),                                                                               \
        .why = (why_),                                                                                     \
        .inline_asm = (inline_),                                                                           \
        .cls = SBE_CLASS_##cls_,                                                                           \
        .kind = SBE_##kind_,                                                                               \
        .shape = SBE_##shape_,                                                                             \
        .policy = {[SBE_FULL] = SBE_##full_, [SBE_ADAPTIVE] = SBE_##adapt_, [SBE_OFF] = SBE_NATIVE},       \
        .allowed = (allowed_),                                                                             \
        .trap_modes = (modes_),                                                                            \
        .capstone = ids_,                                                                                  \
        .forms = forms_##id_,                                                                              \
        .form_count = ARRAY_SIZE(forms_##id_),                                                             \
    },
const struct sbe_row sbe_rows[SBE_INSN_COUNT] = {
#include "insns.def"
};
#undef INSN

static const char *const class_ids[] = {
#define CLASS(id, text) [SBE_CLASS_##id] = #id,
#include "classes.def"
#undef CLASS
};

static const char *const class_texts[] = {
#define CLASS(id, text) [SBE_CLASS_##id] = (text),
#include "classes.def"
#undef CLASS
};

static const char *const kinds[] = {
    [SBE_PRIVILEGED] = "privileged", [SBE_SENSITIVE] = "sensitive", [SBE_IOPL] = "iopl"};
static const char *const policies[] = {[SBE_NATIVE] = "native", [SBE_TRAP] = "trap", [SBE_INLINE] = "inline"};
static const char *const shapes[] = {[SBE_CONTINUE] = "continue", [SBE_END] = "end"};
static const char *const prefixes[] = {
    [SBE_PREFIX_ANY] = "any",     [SBE_PREFIX_NONE] = "none", [SBE_PREFIX_NOREP] = "norep",
    [SBE_PREFIX_66] = "66",       [SBE_PREFIX_F2] = "f2",     [SBE_PREFIX_F3] = "f3",
    [SBE_PREFIX_LOCK] = "lock",
};
static const char *const modrms[] = {
    [SBE_MODRM_NONE] = "none", [SBE_MODRM_EITHER] = "any",      [SBE_MODRM_MEM] = "mem",
    [SBE_MODRM_REG] = "reg",   [SBE_MODRM_CONTROL] = "control"};
static const char *const policy_sets[] = {
    [M(SBE_NATIVE)] = "native",
    [M(SBE_NATIVE) | M(SBE_TRAP)] = "native trap",
    [M(SBE_NATIVE) | M(SBE_TRAP) | M(SBE_INLINE)] = "native trap inline",
};
static const char *const mode_sets[] = {
    [M(SBE_MODE_64)] = "64",
    [LEGACY] = "16 32 vm86",
    [NO_VM86] = "16 32 64",
    [ANY] = "16 32 64 vm86",
};

unsigned sbe_form_last(const struct sbe_form *form)
{
    return form->last ? form->last : form->opcode;
}

bool sbe_form_in_mode(const struct sbe_form *form, enum sbe_mode mode)
{
    return !form->modes || (form->modes & M(mode));
}

unsigned vmk_sbe_insn_count(void)
{
    return SBE_INSN_COUNT;
}

int vmk_sbe_insn(unsigned number, struct vmk_sbe_insn_info *out)
{
    if (number >= SBE_INSN_COUNT)
        return -1;
    const struct sbe_row *row = &sbe_rows[number];
    *out = (struct vmk_sbe_insn_info){
        .id = row->id,
        .mnemonic = row->mnemonic,
        .class_name = class_ids[row->cls],
        .kind = kinds[row->kind],
        .full = policies[row->policy[SBE_FULL]],
        .adaptive = policies[row->policy[SBE_ADAPTIVE]],
        .allowed = policy_sets[row->allowed],
        .shape = shapes[row->shape],
        .trap_modes = mode_sets[row->trap_modes],
        .inline_asm = row->inline_asm,
        .why = row->why,
    };
    for (unsigned i = 0; i < SBE_ROW_IDS; i++)
        out->capstone_ids[i] = row->capstone[i];
    return 0;
}

unsigned vmk_sbe_form_count(void)
{
    unsigned n = 0;
    for (unsigned row = 0; row < SBE_INSN_COUNT; row++)
        n += sbe_rows[row].form_count;
    return n;
}

static struct vmk_sbe_form_info describe_form(unsigned row, const struct sbe_form *form)
{
    return (struct vmk_sbe_form_info){
        .insn = row,
        .map = form->map,
        .opcode_first = form->opcode,
        .opcode_last = sbe_form_last(form),
        .prefix = prefixes[form->prefix],
        .modrm = modrms[form->modrm],
        .reg_mask = form->regs ? form->regs : form->modrm == SBE_MODRM_CONTROL ? 0xffff : 0xff,
        .rm = (int)form->rm - 1,
        .modes = form->modes ? form->modes : ANY,
    };
}

int vmk_sbe_form(unsigned index, struct vmk_sbe_form_info *out)
{
    for (unsigned row = 0; row < SBE_INSN_COUNT; row++) {
        if (index < sbe_rows[row].form_count) {
            *out = describe_form(row, &sbe_rows[row].forms[index]);
            return 0;
        }
        index -= sbe_rows[row].form_count;
    }
    return -1;
}

unsigned vmk_sbe_class_count(void)
{
    return SBE_CLASS_COUNT;
}

const char *vmk_sbe_class_name(unsigned cls)
{
    return cls < SBE_CLASS_COUNT ? class_ids[cls] : NULL;
}

const char *vmk_sbe_class_text(unsigned cls)
{
    return cls < SBE_CLASS_COUNT ? class_texts[cls] : NULL;
}
