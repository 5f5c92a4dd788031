/* x86-64 encoder: one instruction per call. See asm.c. */
#ifndef VMK_DIRECT_ASM_H
#define VMK_DIRECT_ASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum host_reg { H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI, H_R14 = 14, H_R15 = 15 };
enum condition { IF_O = 0, IF_B = 2, IF_AE = 3, IF_E = 4, IF_NE = 5, IF_A = 7, IF_S = 8 };

/* When there is no room left, `full` is set and nothing is written. */
struct assembler {
    uint8_t *p, *end;
    bool full;
};

/* A register, [base + disp], or a fixed address near the code. */
struct operand {
    enum { OPERAND_REG, OPERAND_MEM, OPERAND_NEAR } kind;
    uint8_t reg;
    int32_t disp;
    uintptr_t address;
};

static inline struct operand in_reg(uint8_t reg)
{
    return (struct operand){.kind = OPERAND_REG, .reg = reg};
}

static inline struct operand at(uint8_t base, int32_t disp)
{
    return (struct operand){.kind = OPERAND_MEM, .reg = base, .disp = disp};
}

static inline struct operand near(const void *p)
{
    return (struct operand){.kind = OPERAND_NEAR, .address = (uintptr_t)p};
}

static inline uintptr_t asm_here(const struct assembler *a)
{
    return (uintptr_t)a->p;
}

void asm_bytes(struct assembler *a, const void *bytes, size_t n);
void asm_byte(struct assembler *a, uint8_t byte);

/* Opcode with ModRM; opcodes from 0x100 are those of the 0F map. `tail`: bytes of the immediate that the
 * caller emits behind it. `byte_regs`: operands are byte registers, of which SPL to DIL need a prefix. */
void asm_modrm_tail(struct assembler *a, unsigned op, unsigned size, uint8_t reg, struct operand rm,
                    bool byte_regs, unsigned tail);
void asm_modrm(struct assembler *a, unsigned op, unsigned size, uint8_t reg, struct operand rm);

/* An SSE instruction: mandatory prefix (or 0), opcode of the 0F map, REX.W. */
void asm_vector(struct assembler *a, uint8_t prefix, unsigned op, bool wide, uint8_t reg, struct operand rm,
                unsigned tail);

/* lea reg, [base + index << scale + disp]; NO_REG: without. */
void asm_lea(struct assembler *a, unsigned size, uint8_t reg, uint8_t base, uint8_t index, uint8_t scale,
             int32_t disp);

void asm_mov(struct assembler *a, unsigned size, uint8_t to, uint8_t from);
void asm_load(struct assembler *a, unsigned size, uint8_t to, struct operand from);
void asm_store(struct assembler *a, unsigned size, struct operand to, uint8_t from);
void asm_constant(struct assembler *a, uint8_t to, uint64_t value);
/* Group 1: digit 0 add, 1 or, 4 and, 5 sub, 6 xor, 7 cmp; a 32-bit immediate. */
void asm_group1(struct assembler *a, unsigned digit, unsigned size, struct operand rm, int32_t imm);
void asm_shift(struct assembler *a, unsigned digit, unsigned size, uint8_t reg, uint8_t count);
void asm_set(struct assembler *a, enum condition condition, uint8_t reg);
void asm_call(struct assembler *a, const void *function); /* clobbers rax */

/* A jump or call with 32 bits of displacement, returned as the place to give to asm_patch. */
uint8_t *asm_jump(struct assembler *a);
uint8_t *asm_jump_if(struct assembler *a, unsigned condition);
uint8_t *asm_near_call(struct assembler *a);
void asm_patch(const struct assembler *a, uint8_t *place, uintptr_t target);
void asm_patch_here(const struct assembler *a, uint8_t *place);

#endif
