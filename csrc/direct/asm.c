/* The encoder of the few host instructions that surround the guest's, and of the guest's own with other
 * registers (Intel SDM volume 2, chapter 2). Leaves out: everything nobody here emits. */
#include "direct/asm.h"

#include <string.h>

#include "direct/insn.h"

#define LONGEST 32 /* bytes of one emission */

static bool room(struct assembler *a)
{
    if (a->end - a->p < LONGEST)
        a->full = true;
    return !a->full;
}

void asm_bytes(struct assembler *a, const void *bytes, size_t n)
{
    if (!room(a))
        return;
    memcpy(a->p, bytes, n);
    a->p += n;
}

void asm_byte(struct assembler *a, uint8_t byte)
{
    asm_bytes(a, &byte, 1);
}

static void dword(struct assembler *a, int32_t value)
{
    asm_bytes(a, &value, 4);
}

static void prefix_and_opcode(struct assembler *a, unsigned op, unsigned size, uint8_t rex, bool byte_regs)
{
    if (size == 2)
        asm_byte(a, 0x66);
    rex |= size == 8 ? 8 : 0;
    if (rex || byte_regs)
        asm_byte(a, 0x40 | rex);
    if (op & OP_0F)
        asm_byte(a, 0x0f);
    asm_byte(a, (uint8_t)op);
}

static void memory(struct assembler *a, uint8_t reg, struct operand m)
{
    uint8_t mod = m.disp == 0 && (m.reg & 7) != 5 ? 0 : m.disp == (int8_t)m.disp ? 1 : 2;
    asm_byte(a, (uint8_t)(mod << 6 | (reg & 7) << 3 | (m.reg & 7)));
    if ((m.reg & 7) == 4)
        asm_byte(a, 0x24);
    if (mod == 1)
        asm_byte(a, (uint8_t)m.disp);
    else if (mod == 2)
        dword(a, m.disp);
}

void asm_modrm_tail(struct assembler *a, unsigned op, unsigned size, uint8_t reg, struct operand rm,
                    bool byte_regs, unsigned tail)
{
    uint8_t rex = (uint8_t)((reg >> 3) << 2 | (rm.kind == OPERAND_NEAR ? 0 : rm.reg >> 3));
    if (!room(a))
        return;
    prefix_and_opcode(a, op, size, rex, byte_regs);
    if (rm.kind == OPERAND_REG) {
        asm_byte(a, (uint8_t)(0xc0 | (reg & 7) << 3 | (rm.reg & 7)));
    } else if (rm.kind == OPERAND_MEM) {
        memory(a, reg, rm);
    } else {
        asm_byte(a, (uint8_t)((reg & 7) << 3 | 5));
        dword(a, (int32_t)(rm.address - (asm_here(a) + 4 + tail)));
    }
}

void asm_vector(struct assembler *a, uint8_t prefix, unsigned op, bool wide, uint8_t reg, struct operand rm,
                unsigned tail)
{
    if (prefix)
        asm_byte(a, prefix);
    asm_modrm_tail(a, op, wide ? 8 : 4, reg, rm, false, tail);
}

void asm_modrm(struct assembler *a, unsigned op, unsigned size, uint8_t reg, struct operand rm)
{
    asm_modrm_tail(a, op, size, reg, rm, false, 0);
}

void asm_lea(struct assembler *a, unsigned size, uint8_t reg, uint8_t base, uint8_t index, uint8_t scale,
             int32_t disp)
{
    bool bare = base == NO_REG;
    if (index == NO_REG && !bare) {
        asm_modrm(a, OP_LEA, size, reg, at(base, disp));
        return;
    }
    if (!room(a))
        return;
    uint8_t x = index == NO_REG ? 4 : index, b = bare ? 5 : base;
    prefix_and_opcode(a, OP_LEA, size,
                      (uint8_t)((reg >> 3) << 2 | (index == NO_REG ? 0 : x >> 3) << 1 | (bare ? 0 : b >> 3)),
                      false);
    asm_byte(a, (uint8_t)((bare ? 0 : 2) << 6 | (reg & 7) << 3 | 4));
    asm_byte(a, (uint8_t)(scale << 6 | (x & 7) << 3 | (b & 7)));
    dword(a, disp);
}

void asm_mov(struct assembler *a, unsigned size, uint8_t to, uint8_t from)
{
    asm_modrm(a, 0x8b, size, to, in_reg(from));
}

void asm_load(struct assembler *a, unsigned size, uint8_t to, struct operand from)
{
    asm_modrm(a, 0x8b, size, to, from);
}

void asm_store(struct assembler *a, unsigned size, struct operand to, uint8_t from)
{
    asm_modrm(a, 0x89, size, from, to);
}

void asm_constant(struct assembler *a, uint8_t to, uint64_t value)
{
    if (!room(a))
        return;
    bool narrow = value <= UINT32_MAX;
    if (to >> 3 || !narrow)
        asm_byte(a, (uint8_t)(0x40 | (narrow ? 0 : 8) | to >> 3));
    asm_byte(a, 0xb8 | (to & 7));
    asm_bytes(a, &value, narrow ? 4 : 8);
}

void asm_group1(struct assembler *a, unsigned digit, unsigned size, struct operand rm, int32_t imm)
{
    bool narrow = imm == (int8_t)imm;
    asm_modrm_tail(a, size == 1 ? 0x80 : narrow ? 0x83 : 0x81, size, (uint8_t)digit, rm, size == 1,
                   size == 1 || narrow ? 1 : 4);
    if (size == 1 || narrow)
        asm_byte(a, (uint8_t)imm);
    else
        dword(a, imm);
}

void asm_shift(struct assembler *a, unsigned digit, unsigned size, uint8_t reg, uint8_t count)
{
    asm_modrm(a, OP_SHIFT_IMM, size, (uint8_t)digit, in_reg(reg));
    asm_byte(a, count);
}

void asm_set(struct assembler *a, enum condition condition, uint8_t reg)
{
    asm_modrm_tail(a, OP_0F | 0x90 | condition, 1, 0, in_reg(reg), true, 0);
}

void asm_call(struct assembler *a, const void *function)
{
    asm_constant(a, H_RAX, (uintptr_t)function);
    asm_modrm(a, 0xff, 4, 2, in_reg(H_RAX));
}

static uint8_t *displacement(struct assembler *a)
{
    uint8_t *place = a->p;
    dword(a, 0);
    return place;
}

uint8_t *asm_jump(struct assembler *a)
{
    asm_byte(a, 0xe9);
    return displacement(a);
}

uint8_t *asm_jump_if(struct assembler *a, unsigned condition)
{
    asm_byte(a, 0x0f);
    asm_byte(a, (uint8_t)(0x80 | condition));
    return displacement(a);
}

uint8_t *asm_near_call(struct assembler *a)
{
    asm_byte(a, 0xe8);
    return displacement(a);
}

void asm_patch(const struct assembler *a, uint8_t *place, uintptr_t target)
{
    int32_t distance = (int32_t)(target - ((uintptr_t)place + 4));
    if (!a->full)
        memcpy(place, &distance, 4);
}

void asm_patch_here(const struct assembler *a, uint8_t *place)
{
    asm_patch(a, place, asm_here(a));
}
