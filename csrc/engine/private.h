/* Unicorn 2.1.4 behind its public face: field offsets and internal functions. Included by csrc/engine only.
 *
 * Offsets were taken from the layout of the pinned version and are verified at start (engine/selfcheck.c).
 * `__real_f` is the engine's own function behind the linker's --wrap=f; the list of wrapped symbols is in
 * setup.py. */
#ifndef VMK_ENGINE_PRIVATE_H
#define VMK_ENGINE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <unicorn/unicorn.h>

#include "engine/guest.h"

#define PINNED_MAJOR 2
#define PINNED_MINOR 1
#define PINNED_PATCH 4

#define AT_OFFSET(p, off, type) (*(type *)((char *)(p) + (off)))

#define UC_CPU(uc) AT_OFFSET(uc, 440, void *)
#define UC_MEMORY_MAPPING(uc) AT_OFFSET(uc, 288, memory_mapping_fn *)
#define UC_TCG_CTX(uc) AT_OFFSET(uc, 768, void *)
#define UC_STOP_REQUEST(uc) AT_OFFSET(uc, 1389, bool)
#define UC_INVALID_ERROR(uc) AT_OFFSET(uc, 1424, int)
#define UC_OWNER(uc) AT_OFFSET(uc, 1976, void *) /* qemu_thread_data: only Windows builds use it */
#define UC_NO_EXIT_REQUEST(uc) AT_OFFSET(uc, 2034, bool)

#define CPU_EXIT_REQUEST(cpu) AT_OFFSET(cpu, 21, bool)
#define CPU_INTERRUPT_REQUEST(cpu) AT_OFFSET(cpu, 28, uint32_t)
#define CPU_ENV(cpu) AT_OFFSET(cpu, 296, struct guest *)
#define CPU_ICOUNT_DECR(cpu) AT_OFFSET(cpu, 304, void *)
#define CPU_JMP_CACHE(cpu) ((void **)((char *)(cpu) + 312))
#define CPU_HALTED(cpu) AT_OFFSET(cpu, 33176, uint32_t)
#define CPU_EXCEPTION_INDEX(cpu) AT_OFFSET(cpu, 33184, int32_t)
#define CPU_UC(cpu) AT_OFFSET(cpu, 33192, uc_engine *)
#define CPU_CLASS(cpu) AT_OFFSET(cpu, 33200, void *)
#define CPU_CFLAGS_NEXT_TB(cpu) AT_OFFSET(cpu, 24, uint32_t)
#define JMP_CACHE_ENTRIES 4096

/* Flags of a block. TB_PARALLEL: host atomics; the engine looks blocks up without it, so it is set only while
 * one is translated. TB_ALONE: one instruction, and a bit nobody else uses (CF_LAST_IO) that keeps such
 * blocks apart. */
#define TB_PARALLEL 0x00080000u
#define TB_ALONE 0x00008001u

#define CLASS_TLB_FILL(cc) AT_OFFSET(cc, 72, tlb_fill_fn *)
#define CLASS_EXEC_INTERRUPT(cc) AT_OFFSET(cc, 144, exec_interrupt_fn *)

/* TCGContext.ops is a tail queue: {first, last's link}. A TCGOp has its link at 8 and its arguments at 24. */
#define TCG_OPS(ctx) ((struct op_link *)((char *)(ctx) + 29576))
#define TCG_OP_ARG(op, n) AT_OFFSET(op, 24 + 8 * (n), uint64_t)
#define TCG_UC(ctx) AT_OFFSET(ctx, 39280, uc_engine *)
#define TCG_EPILOGUE(ctx) AT_OFFSET(ctx, 152, void *)
#define TCG_TB_FLUSH_COUNT(ctx) AT_OFFSET(ctx, 39096 + 24, uint32_t)

#define TCG_TB_CFLAGS(ctx) AT_OFFSET(ctx, 100, uint32_t)
#define TCG_ENV(ctx) AT_OFFSET(ctx, 39152, void *)
#define TCG_OP_CODE(op) AT_OFFSET(op, 0, uint8_t)
#define TCG_OP_NEXT(op) AT_OFFSET(op, 8, void *)

#define INTERRUPT_HARD 2u

/* The few operations of the translator's intermediate code that are emitted here. */
enum tcg_op { TCG_SET_LABEL = 1, TCG_BR = 3, TCG_LD32U_I64 = 71, TCG_LD_I64 = 73, TCG_INSN_START = 129 };
enum { TCG_COND_LT = 2, TCG_TYPE_I64 = 1 };
enum { TCG_CALL_NO_WRITE_GLOBALS = 2 };
enum { LABEL_PRESENT = 1, LABEL_REFERENCE = 1 << 16 };
#define ENGINE_EXCP_HLT 0x10001

struct op_link {
    void *next;
    struct op_link *prev;
};

struct tb {
    uint64_t pc, cs_base;
    uint32_t flags;
    uint16_t size, icount;
    uint32_t cflags, trace;
    void *code;
    uint64_t code_size;
    uint8_t pad_48[72 - 48];
    uint64_t page[2];
    uint16_t jump_reset[2];  /* 0xffff: no such jump */
    uintptr_t jump_at[2];    /* offset in the code of the jump's displacement */
    uintptr_t jump_from, jump_list[2];
    uintptr_t jump_to[2];    /* the block it is linked to */
};
_Static_assert(offsetof(struct tb, code) == 32 && offsetof(struct tb, page) == 72 &&
                   offsetof(struct tb, jump_at) == 96 && offsetof(struct tb, jump_to) == 136,
               "TranslationBlock");

#define TB_BYTES 192 /* a block's description, rounded up to cache lines */

/* Softmmu TLB. Three MMU modes; the descriptors lie below icount_decr, which lies below the CPU state. */
enum mmu_mode { MMU_KERNEL_SMAP = 0, MMU_USER = 1, MMU_KERNEL = 2, MMU_MODES = 3 };
enum tlb_flag {
    TLB_SLOW_INVALID = 1 << 11,
    TLB_NOTDIRTY = 1 << 10,
    TLB_MMIO = 1 << 9,
    TLB_WATCHPOINT = 1 << 8
};
enum page_prot { PROT_R = 1, PROT_W = 2, PROT_X = 4 };
enum access_type { ACCESS_LOAD = 0, ACCESS_STORE = 1, ACCESS_FETCH = 2 };

struct tlb_entry {
    uint64_t read, write, code, paddr;
    uintptr_t addend;
    uint64_t global; /* ours, in the engine's padding: the entry outlives a write to CR3 */
    uint8_t pad[16];
};
struct iotlb_entry {
    uint64_t addr;
    uint64_t attrs;
};
struct tlb_desc {
    uint64_t large_addr, large_mask;
    int64_t window_begin;
    uint64_t window_max, n_used, vindex;
    struct tlb_entry victim[8];
    struct iotlb_entry victim_io[8];
    struct iotlb_entry *io;
};
struct tlb_fast {
    uintptr_t mask;
    struct tlb_entry *table;
};
_Static_assert(sizeof(struct tlb_entry) == 64 && sizeof(struct tlb_desc) == 696, "CPUTLB");
#define CPU_TLB_FAST(cpu) ((struct tlb_fast *)((char *)CPU_ICOUNT_DECR(cpu) - 48))
#define CPU_TLB(cpu) ((char *)CPU_TLB_FAST(cpu) - 2128)
#define CPU_TLB_DESC(cpu) ((struct tlb_desc *)(CPU_TLB(cpu) + 32))
#define CPU_TLB_DIRTY(cpu) AT_OFFSET(CPU_TLB(cpu), 0, uint16_t)

typedef void *memory_mapping_fn(uc_engine *uc, uint64_t paddr);
typedef bool tlb_fill_fn(void *cpu, uint64_t va, int size, int access, int mmu_idx, bool probe, uintptr_t ra);
typedef bool exec_interrupt_fn(void *cpu, int request);

/* Engine functions called as they are. */
void x86_cpu_do_interrupt_x86_64(void *cpu);
void do_interrupt_x86_hardirq_x86_64(struct guest *env, int vector, int is_hw);
void raise_exception_err_ra_x86_64(struct guest *env, int vector, int error, uintptr_t ra)
    __attribute__((noreturn));
void cpu_loop_exit_x86_64(void *cpu) __attribute__((noreturn));
void cpu_reset(void *cpu);
void tlb_set_page_x86_64(void *cpu, uint64_t va, uint64_t pa, int prot, int mmu_idx, uint64_t size);
uint64_t get_page_addr_code_hostp_x86_64(struct guest *env, uint64_t va, void **host);
void tb_invalidate_phys_range_x86_64(uc_engine *uc, uint64_t start, uint64_t end);
void tb_flush_jmp_cache_x86_64(void *cpu, uint64_t va);
struct tb *tcg_tb_lookup_x86_64(void *tcg_ctx, uintptr_t host_pc);
void *tcg_const_i32_x86_64(void *tcg_ctx, int32_t value);
void *tcg_const_i64_x86_64(void *tcg_ctx, int64_t value);
void *tcg_temp_new_internal_x86_64(void *ctx, int type, bool local);
void tcg_temp_free_internal_x86_64(void *ctx, void *temp);
void *gen_new_label_x86_64(void *ctx);
void tcg_gen_brcond_i64_x86_64(void *ctx, int condition, void *a, void *b, void *label);
void __real_tcg_gen_callN_x86_64(void *ctx, void *func, void *ret, int nargs, void **args);
void __wrap_helper_vmload_x86_64(struct guest *g, int what);
void tcg_gen_op1_x86_64(void *ctx, int op, uint64_t a);
void tcg_gen_lookup_and_goto_ptr_x86_64(void *ctx);
void tcg_gen_op3_x86_64(void *ctx, int op, uint64_t a, uint64_t b, uint64_t c);
void cpu_x86_update_cr0_x86_64(struct guest *env, uint32_t value);
void cpu_x86_update_cr3_x86_64(struct guest *env, uint64_t value);
void cpu_x86_update_cr4_x86_64(struct guest *env, uint32_t value);
uint64_t helper_read_eflags_x86_64(struct guest *env);
void helper_lldt_x86_64(struct guest *env, int selector);
void helper_load_seg_x86_64(struct guest *env, int seg, int selector);
void helper_invlpg_x86_64(struct guest *env, uint64_t va);
void helper_iret_real_x86_64(struct guest *env, int shift);
void helper_xsetbv_x86_64(struct guest *env, uint32_t ecx, uint64_t mask);
uint32_t cpu_ldub_data_ra_x86_64(struct guest *env, uint64_t va, uintptr_t ra);
uint32_t cpu_lduw_data_ra_x86_64(struct guest *env, uint64_t va, uintptr_t ra);
uint32_t cpu_ldl_data_ra_x86_64(struct guest *env, uint64_t va, uintptr_t ra);
uint64_t cpu_ldq_data_ra_x86_64(struct guest *env, uint64_t va, uintptr_t ra);
void cpu_stb_data_ra_x86_64(struct guest *env, uint64_t va, uint32_t value, uintptr_t ra);
void cpu_stw_data_ra_x86_64(struct guest *env, uint64_t va, uint32_t value, uintptr_t ra);
void cpu_stl_data_ra_x86_64(struct guest *env, uint64_t va, uint32_t value, uintptr_t ra);
void cpu_stq_data_ra_x86_64(struct guest *env, uint64_t va, uint64_t value, uintptr_t ra);
uint32_t cpu_lduw_mmuidx_ra_x86_64(struct guest *env, uint64_t va, int mmu_idx, uintptr_t ra);

#define CALLER                                                                                               \
    ((uintptr_t)__builtin_return_address(                                                                    \
        0)) /* inside a helper: a point in the translated block that called it */

#endif
